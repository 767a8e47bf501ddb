/* SPDX-License-Identifier: MIT */
#include "daemon/audit/journal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* The code's own file and line would be the same in every entry. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/* systemd.exec(5): $JOURNAL_STREAM is "DEVICE:INODE" of the stream; a redirected stderr has others. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(2, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

static int send_to_journal(const struct audit_text *text)
{
        const struct audit_kind_row *kind = &audit_kinds[text->kind];
        struct iovec iov[AUDIT_FIELDS_MAX + 4];
        char priority[16], id[64], name[64];
        const char *const fixed[] = {priority, id, name, "SYSLOG_IDENTIFIER=twtuned"};
        unsigned n = 0;

        snprintf(priority, sizeof(priority), "PRIORITY=%d", kind->priority);
        snprintf(id, sizeof(id), "MESSAGE_ID=%s", kind->message_id);
        snprintf(name, sizeof(name), "EVENT=%s", kind->name);
        for (unsigned i = 0; i < ELEMENTSOF(fixed); i++)
                iov[n++] = (struct iovec){(char *)fixed[i], strlen(fixed[i])};
        for (unsigned i = 0; i < text->n; i++) {
                const char *field = audit_text_field(text, i);

                iov[n++] = (struct iovec){(char *)field, strlen(field)};
        }
        return sd_journal_sendv(iov, (int)n);
}

/* main() makes stderr line buffered: an entry is one write, so that lines of two processes do not mix. */
void journal_write(const struct audit_text *text)
{
        if (!stderr_is_journal() || send_to_journal(text) < 0)
                audit_text_print(text, stderr);
}
