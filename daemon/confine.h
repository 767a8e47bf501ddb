/* SPDX-License-Identifier: MIT */
#pragma once

/* From now on the process can open for writing only the sysctls that twtuned may write, the files of the ledger and the
 * metrics file, and can create files only beside these (landlock(7)). Call this when the sysctls are open. Does nothing on
 * a kernel without Landlock: there uid 0 can also write files of root's, and other sysctls. metrics_file: "" for none.
 * Returns 0; or the exit status, after printing an error. */
int confine_writes(const char *ledger_directory, const char *metrics_file);

/* From now on the process can open nothing but files in the directory, for reading, and list that. Returns 0, also on a kernel
 * without Landlock; or a negative errno. */
int confine_to_reading(const char *directory);

/* Returns the version of Landlock's interface; a negative errno: this kernel has none, or does not use it. */
int landlock_version(void);
