/* SPDX-License-Identifier: MIT */

/* Run by the build: prints a line ReadWritePaths= of a unit for each sysctl that twtuned may write. */

#include <stdio.h>

#include "lib/kernel/sysctl.h"

int main(void)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                if (sysctl_table[id].never)
                        continue;
                fputs("ReadWritePaths=-/proc/sys/", stdout);
                for (const char *c = sysctl_table[id].name; *c; c++)
                        putchar(*c == '.' ? '/' : *c);
                putchar('\n');
        }
        return fflush(stdout) == 0 ? 0 : 1;
}
