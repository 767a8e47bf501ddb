/* SPDX-License-Identifier: MIT */
/* Replaces confine.c where <linux/landlock.h> is missing, as on Debian 11: it has Linux 5.10, and Landlock came with
 * 5.13. */

#include "daemon/confine.h"

#include <errno.h>

int confine_writes(const char *ledger_directory, const char *metrics_file)
{
        (void)ledger_directory, (void)metrics_file;
        return 0;
}

int confine_to_reading(const char *directory)
{
        (void)directory;
        return 0;
}

int landlock_version(void)
{
        return -ENOSYS;
}
