/* SPDX-License-Identifier: MIT */
/* Runs a program and kills it with SIGKILL after one system call of it:
 *
 *     kill_after MARK N FILE PROGRAM [ARGUMENT...]
 *
 * Counts begin anew where the program opens a ledger for writing: MARK is how often it did, N the calls since. MARK
 * `none`: it is not killed, and to FILE goes a line for each call: MARK N NUMBER-OF-THE-CALL. SIGTERM is for the
 * program. Ends with 0 when it killed, else with what the program ended with. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define MARK_SUFFIX ".ledger.new"

static volatile sig_atomic_t child;

static void forward(int signal)
{
        kill(child, signal);
}

static void start(char **argv)
{
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0) {
                raise(SIGSTOP); /* until the options are set */
                execv(argv[0], argv);
        }
        _exit(127);
}

static bool opens_mark(const struct __ptrace_syscall_info *call)
{
        char path[256] = "";
        struct iovec local = {path, sizeof(path) - 1},
                     remote = {(void *)(uintptr_t)call->entry.args[1], local.iov_len};
        ssize_t n;
        size_t length;

        if (call->entry.nr != SYS_openat)
                return false;
        while ((n = process_vm_readv(child, &local, 1, &remote, 1, 0)) < 0 && remote.iov_len > 32)
                local.iov_len = remote.iov_len /= 2; /* the read would go past the page */
        length = strlen(path);
        return n > 0 && length > strlen(MARK_SUFFIX) && strcmp(path + length - strlen(MARK_SUFFIX), MARK_SUFFIX) == 0;
}

/* Runs the program to its next stop. Returns false if it ended instead; *ret_status is then as of waitpid(2). */
static bool next_stop(int pass_on, int *ret_status)
{
        ptrace(PTRACE_SYSCALL, child, NULL, (void *)(intptr_t)pass_on);
        while (waitpid(child, ret_status, 0) < 0)
                if (errno != EINTR)
                        return false;
        return WIFSTOPPED(*ret_status);
}

int main(int argc, char **argv)
{
        struct __ptrace_syscall_info call;
        unsigned long mark, n, marks = 0, calls = 0, number = 0;
        bool none;
        int status = 0, pass_on = 0;
        FILE *trace = NULL;

        if (argc < 5)
                return 64;
        none = strcmp(argv[1], "none") == 0;
        mark = strtoul(argv[1], NULL, 10);
        n = strtoul(argv[2], NULL, 10);
        child = fork();
        if (child == 0)
                start(argv + 4);
        signal(SIGTERM, forward);
        if (child < 0 || waitpid(child, &status, 0) < 0 ||
            ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) < 0)
                return 71;
        if (none)
                trace = fopen(argv[3], "w");

        while (next_stop(pass_on, &status)) {
                pass_on = WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
                if (WSTOPSIG(status) != (SIGTRAP | 0x80) ||
                    ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(call), &call) <= 0)
                        continue;
                if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
                        number = (unsigned long)call.entry.nr;
                        calls++;
                        if (opens_mark(&call)) {
                                marks++;
                                calls = 0;
                        }
                } else if (trace) {
                        fprintf(trace, "%lu %lu %lu\n", marks, calls, number);
                } else if (!none && marks == mark && calls == n) {
                        kill(child, SIGKILL);
                        waitpid(child, &status, 0);
                        return 0;
                }
        }
        if (trace)
                fclose(trace);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
