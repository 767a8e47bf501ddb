/* SPDX-License-Identifier: MIT */
/* The files under /proc that the observer reads: opened once, and again every minute if they are missing or fail. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

#define RETRY_NS (60 * NSEC_PER_SEC)
#define PROC "/proc"
#define TEXT_SIZE_MAX (4u << 20) /* three times nf_conntrack's statistics of 8,192 CPUs */

static const char *const names[SOURCE_SYSCTL] = {
        [SOURCE_NETSTAT] = PROC "/net/netstat",
        [SOURCE_SNMP] = PROC "/net/snmp",
        [SOURCE_SNMP6] = PROC "/net/snmp6",
        [SOURCE_SOCKSTAT] = PROC "/net/sockstat",
        [SOURCE_SOCKSTAT6] = PROC "/net/sockstat6",
        [SOURCE_CONNTRACK_COUNT] = PROC "/sys/net/netfilter/nf_conntrack_count",
        [SOURCE_CONNTRACK_STAT] = PROC "/net/stat/nf_conntrack",
        [SOURCE_STATM] = PROC "/self/statm",
};

/* True of a file that every kernel has; any other may be missing. */
static bool is_required(enum source source)
{
        return source == SOURCE_NETSTAT || source == SOURCE_SNMP || source == SOURCE_SOCKSTAT ||
               source == SOURCE_OF(SYSCTL_IP_LOCAL_PORT_RANGE) || source == SOURCE_OF(SYSCTL_IP_LOCAL_RESERVED_PORTS);
}

static const char *name_of(enum source source)
{
        return source < SOURCE_SYSCTL ? names[source] : sysctl_table[source - SOURCE_SYSCTL].name;
}

struct proc_file source_open(const char *root, enum source source)
{
        char path[256];

        if (source < SOURCE_SYSCTL) {
                snprintf(path, sizeof(path), "%s%s", root, names[source] + strlen(PROC));
                return proc_file_open(path, false);
        }
        snprintf(path, sizeof(path), "%s/sys/%s", root, name_of(source));
        for (char *p = path + strlen(root); *p; p++)
                if (*p == '.')
                        *p = '/';
        return proc_file_open(path, !sysctl_table[source - SOURCE_SYSCTL].never);
}

int sources_open(struct observer *o)
{
        o->text_size = SOURCE_TEXT_SIZE;
        o->text = calloc(1, o->text_size);
        for (unsigned i = 0; i < SOURCE_COUNT; i++)
                o->file[i] = source_open(o->root, i);
        return o->text ? 0 : -ENOMEM;
}

void sources_close(struct observer *o)
{
        for (unsigned i = 0; i < SOURCE_COUNT; i++)
                proc_file_close(&o->file[i]);
        free(o->text);
}

/* Doubles the buffer until the file fits. If memory is short, sources_retry() tries again within a minute. */
static void make_room(struct observer *o, enum source source)
{
        while (proc_file_read(&o->file[source], o->text, o->text_size) == -EFBIG && o->text_size < TEXT_SIZE_MAX) {
                char *text = realloc(o->text, 2 * o->text_size);

                if (!text)
                        return;
                o->text = text;
                o->text_size *= 2;
        }
}

void sources_make_room(struct observer *o)
{
        for (unsigned i = 0; i < SOURCE_COUNT; i++)
                make_room(o, i);
}

void sources_retry(struct observer *o)
{
        for (unsigned i = 0; i < SOURCE_COUNT; i++) {
                if (o->error[i] == -EFBIG) {
                        make_room(o, i);
                } else if (o->file[i].fd < 0 || o->error[i] < 0) {
                        proc_file_close(&o->file[i]);
                        o->file[i] = source_open(o->root, i);
                }
        }
        o->no_diag[false] = o->no_diag[true] = o->diag.two_walks = false;
        o->retried = true;
        o->retry_at = now_ns() + RETRY_NS;
}

int source_read_start(struct observer *o, enum source source, size_t size)
{
        int r = proc_file_read(&o->file[source], o->text, size);

        if (r < 0)
                o->text[0] = 0;
        return o->error[source] = MIN(r, 0);
}

int source_read(struct observer *o, enum source source)
{
        return source_read_start(o, source, o->text_size);
}

void remember_text(const struct observer *o, char *ret, size_t size)
{
        if (strlen(o->text) < size)
                strcpy(ret, o->text);
        else
                *ret = 0;
}

enum reading_state source_state(const struct observer *o, enum source source)
{
        int error = o->error[source];

        return error == 0 ? READING_VALID : error == -ENOENT ? READING_UNAVAILABLE : READING_INVALID;
}

void sources_unread(const struct observer *o, struct unread *unread)
{
        for (unsigned i = 0; i < SOURCE_COUNT; i++)
                if (source_state(o, i) == READING_INVALID || is_required(i))
                        unread_add(unread, o->error[i], name_of(i));
}
