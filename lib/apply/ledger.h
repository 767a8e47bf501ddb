/* SPDX-License-Identifier: MIT */
#pragma once

/* What we changed, and how to take it back. One file a netns in the runtime directory; a line a sysctl:
 *
 *         twtuned-ledger 1 BOOT_ID NETNS_COOKIE
 *         SYSCTL <tab> STATE <tab> ORIGINAL <tab> WRITTEN <tab> RULE <tab> NANOSECONDS [<tab> BEFORE]
 *         changes <tab> LEFT <tab> NANOSECONDS
 *         end
 *
 * The line is there before each write of its sysctl, so a process that dies at any instant leaves enough behind to
 * put everything back: what is there is ORIGINAL, WRITTEN or, of a second step that was about to be made, BEFORE. */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config/rule.h"
#include "lib/kernel/sysctl.h"

enum ledger_state {
        LEDGER_NONE,
        LEDGER_HELD,     /* we wrote it, or were about to */
        LEDGER_RELEASED, /* nobody's now; the time is kept for the limits */
        LEDGER_FOREIGN,  /* someone else changed it: not to be touched, nor restored over */
};

struct ledger_entry {
        enum ledger_state state;
        struct sysctl_value original, written;
        char rule[RULE_NAME_MAX];
        uint64_t at;                /* ns of CLOCK_BOOTTIME, of the last write */
        struct sysctl_value before; /* of ours, what was there before the last write; n == 0: the original was */
};

/* Whose ledger it is: a value is only good in the boot and netns in which it was read. */
struct ledger_owner {
        char boot_id[40];
        uint64_t netns_cookie;
};

/* The token bucket of changes_per_minute. */
struct ledger_changes {
        uint64_t left; /* thousandths of a change */
        uint64_t at;   /* ns of CLOCK_BOOTTIME; 0: there was no change */
};

struct ledger {
        struct ledger_entry entry[SYSCTL_COUNT];
        struct ledger_changes changes;
};

#define LEDGER_TEXT_MAX (SYSCTL_COUNT * 320 + 192)

/* Writes the text to buf. Returns its length. */
size_t ledger_format(const struct ledger *ledger, const struct ledger_owner *owner, char buf[static LEDGER_TEXT_MAX]);

/* 0; -EBADMSG: truncated or garbled; -ESTALE: of another boot or netns. ret is untouched on an error. */
int ledger_parse(const char *text, const struct ledger_owner *owner, struct ledger *ret);

/* Notes a write. The first one keeps the original; of two writes at the same time the later is the newer. */
void ledger_note(struct ledger *ledger, enum sysctl_id sysctl, const struct sysctl_value *original,
                 const struct sysctl_value *written, const char *rule, uint64_t now);

/* Whether live is a value that the entry accounts for, and not someone else's. */
bool ledger_is_ours(const struct ledger_entry *entry, const struct sysctl_value *live);

/* The held sysctl that was written last, for restoring in reverse, but for those whose bit is set in except;
 * SYSCTL_COUNT: none is held. */
enum sysctl_id ledger_last_held(const struct ledger *ledger, uint32_t except);

static_assert(SYSCTL_COUNT <= 32, "a bit a sysctl");
