/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Gives the whole pages of a block back to the kernel: they take no memory until they are written again, and what
 * was in them is lost. */
static inline void pages_give_back(void *block, size_t size)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)block + page - 1) / page * page;
        uintptr_t end = ((uintptr_t)block + size) / page * page;

        if (begin < end)
                madvise((void *)begin, end - begin, MADV_DONTNEED);
}
