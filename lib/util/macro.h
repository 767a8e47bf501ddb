/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define BIT(n) (UINT32_C(1) << (n)) /* n: 0 to 31 */

#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))

/* A time is in ns of CLOCK_BOOTTIME unless its comment names another clock. CLOCK_BOOTTIME is monotonic, and counts
 * the time in suspend, which the policy must see as a gap. */
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)
