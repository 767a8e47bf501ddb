/* SPDX-License-Identifier: MIT */
#pragma once

/* From now on the process can open for writing only the sysctls that twtuned may write and files in the directories of
 * the runtime files, the ledger and the metrics file, and can create files only there (landlock(7)). Call this when
 * the sysctls are open. Leaves out a directory that cannot be opened. Does nothing on a kernel without Landlock: there
 * uid 0 can also write root's files and other sysctls. metrics_file: "" for none. Returns 0; or the exit status, after
 * printing an error. */
int confine_writes(const char *ledger_directory, const char *metrics_file);

/* From now on the process can only list the directory and open files in it for reading. Returns 0, also on a kernel
 * without Landlock; or a negative errno. */
int confine_to_reading(const char *directory);

/* Returns the version of Landlock's interface; a negative errno: this kernel lacks Landlock, or it is disabled. */
int landlock_version(void);
