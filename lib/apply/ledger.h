/* SPDX-License-Identifier: MIT */
#pragma once

/* What we changed, and how to take it back. Each netns has a file in the runtime directory, with a line for each
 * sysctl:
 *
 *         twtuned-ledger 2 BOOT_ID NETNS_COOKIE
 *         netns <tab> NAME
 *         SYSCTL <tab> STATE <tab> ORIGINAL <tab> WRITTEN <tab> RULE <tab> TIME <tab> BEFORE <tab> FILE <tab> HAND
 *         changes <tab> LEFT <tab> TIME
 *         end <tab> CHECKSUM
 *
 * The line is saved before each write of its sysctl, so a process that dies at any instant leaves enough to put
 * everything back: the live value is ORIGINAL, WRITTEN or, before the write of a further step, BEFORE.
 *
 * NAME is for people, with \xHH for a backslash, a blank and bytes outside printable ASCII; a netns without a name has
 * no such line. A missing value is "-", an unknown FILE is "?". Times are ns of CLOCK_BOOTTIME. HAND is when another
 * program changed the sysctl while it was not held; 0: never. CHECKSUM is the CRC-32 of all lines before it. Lines
 * that begin with another word, and further fields of SYSCTL and changes, are from a later twtuned and are kept.
 * Version 1 (0.1.0) has no netns, no FILE, no HAND, no CHECKSUM, and BEFORE only where there is one. */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config/rule.h"
#include "lib/kernel/sysctl.h"

enum ledger_state {
        LEDGER_NONE,
        LEDGER_HELD,     /* we wrote it, or were about to */
        LEDGER_RELEASED, /* no rule holds it; the time is kept for the limits */
        LEDGER_FOREIGN,  /* another program changed it, or a person released it: not to be written */
};

#define LEDGER_MORE_MAX 64
#define LEDGER_UNKNOWN_MAX 2048

struct ledger_entry {
        enum ledger_state state;
        struct sysctl_value original, written;
        char rule[RULE_NAME_MAX];
        uint64_t at;                /* ns of CLOCK_BOOTTIME, of the last write except restores */
        struct sysctl_value before; /* if held: the value before the last write; n == 0: the original */
        struct sysctl_value file;   /* what sysctl.d set when the sysctl was taken; n == 0: nothing */
        bool file_unknown;          /* version 1 does not say */
        uint64_t hand_at;           /* when another program changed it while it was not held; 0: never */
        char more[LEDGER_MORE_MAX]; /* further fields, each with the tab before it */
};

/* The owner of a ledger: a value is valid only in the boot and netns in which it was read. */
struct ledger_owner {
        char boot_id[40];
        uint64_t netns_cookie;
        char netns[256]; /* its name; "": it has none */
};

/* The token bucket of changes_per_minute. */
struct ledger_changes {
        uint64_t left; /* thousandths of a change */
        uint64_t at;   /* ns of CLOCK_BOOTTIME; 0: there was no change */
        char more[LEDGER_MORE_MAX];
};

struct ledger {
        struct ledger_entry entry[SYSCTL_COUNT];
        struct ledger_changes changes;
        char unknown[LEDGER_UNKNOWN_MAX]; /* lines of a later twtuned, each with its newline */
};

#define LEDGER_TEXT_MAX (SYSCTL_COUNT * 448 + LEDGER_UNKNOWN_MAX + 1536)

/* Writes the text to buf. Returns its length. */
size_t ledger_format(const struct ledger *ledger, const struct ledger_owner *owner, char buf[static LEDGER_TEXT_MAX]);

/* Returns the CRC-32 of n bytes (IEEE 802.3, as in zlib). */
uint32_t ledger_checksum(const char *text, size_t n);

/* Returns 0; -EBADMSG: damaged, or a row of a sysctl that is never written; -ESTALE: of another boot;
 * -EPROTONOSUPPORT: a later twtuned wrote it, and only that one can read it. ret is untouched on an error. */
int ledger_parse(const char *text, const struct ledger_owner *owner, struct ledger *ret);

/* Notes a write. A held entry keeps its original. Each write gets a later time than all before it, so that their order
 * is known. */
void ledger_note(struct ledger *ledger, enum sysctl_id sysctl, const struct sysctl_value *original,
                 const struct sysctl_value *written, const char *rule, uint64_t now);

/* Notes the live value of a sysctl that is not held: another program set it, or a person released the sysctl. rule:
 * one that sets the sysctl, or "none". The caller sets state and hand_at. */
void ledger_note_foreign(struct ledger *ledger, enum sysctl_id sysctl, const struct sysctl_value *value,
                         const char *rule);

/* True if live is a value that the entry accounts for; if not, another program set it. */
bool ledger_is_ours(const struct ledger_entry *entry, const struct sysctl_value *live);

/* The held sysctl that was written last, for restoring in reverse order, leaving out those with a bit in except;
 * SYSCTL_COUNT: none is held. */
enum sysctl_id ledger_last_held(const struct ledger *ledger, uint32_t except);

static_assert(SYSCTL_COUNT <= 32, "a bit a sysctl");
