/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* asprintf() */
/* A ledger as it is found in the runtime directory, read by its owner. */

#include <inttypes.h>
#include <stdio.h>

#include "lib/apply/ledger.h"
#include "text.h"

/* The owner that the first line names. */
static struct ledger_owner owner_of(const char *text)
{
        struct ledger_owner owner = {0};

        sscanf(text, "twtuned-ledger %*u %39s %" SCNu64, owner.boot_id, &owner.netns_cookie);
        return owner;
}

static void check_equal(const struct ledger *a, const struct ledger *b)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct ledger_entry *x = &a->entry[id], *y = &b->entry[id];

                assert(x->state == y->state && x->at == y->at && strcmp(x->rule, y->rule) == 0);
                assert(sysctl_equal(&x->original, &y->original) && sysctl_equal(&x->written, &y->written));
                assert(sysctl_equal(&x->before, &y->before) && sysctl_equal(&x->file, &y->file));
                assert(x->file_unknown == y->file_unknown && x->hand_at == y->hand_at && !strcmp(x->more, y->more));
                assert(x->state == LEDGER_NONE || !sysctl_table[id].never);
        }
        assert(a->changes.left == b->changes.left && a->changes.at == b->changes.at);
        assert(!strcmp(a->changes.more, b->changes.more) && !strcmp(a->unknown, b->unknown));
}

/* Only the whole text is good, and only for its owner. */
static void check_text(const struct ledger *ledger, const struct ledger_owner *owner, size_t cut)
{
        struct ledger_owner other = *owner;
        char text[LEDGER_TEXT_MAX];
        size_t n = ledger_format(ledger, owner, text);
        struct ledger again;

        assert(n == strlen(text));
        assert(ledger_parse(text, owner, &again) == 0);
        check_equal(ledger, &again);
        other.netns_cookie++;
        assert(ledger_parse(text, &other, &again) < 0);
        text[cut % n] = 0;
        assert(ledger_parse(text, owner, &again) < 0);
}

/* Those that are held, newest first, and each once. */
static void check_held(const struct ledger *ledger)
{
        uint32_t done = 0;
        uint64_t last = UINT64_MAX;
        enum sysctl_id id;

        while ((id = ledger_last_held(ledger, done)) != SYSCTL_COUNT) {
                assert(!(done >> id & 1) && ledger->entry[id].state == LEDGER_HELD && ledger->entry[id].at <= last);
                last = ledger->entry[id].at;
                done |= UINT32_C(1) << id;
        }
        for (id = 0; id < SYSCTL_COUNT; id++)
                assert((ledger->entry[id].state == LEDGER_HELD) == (done >> id & 1));
}

/* The newest write is the first to be taken back, to what was there before the first one. */
static void check_note(struct ledger *ledger, enum sysctl_id id)
{
        struct sysctl_value live = {.n = sysctl_table[id].n}, value = {.n = live.n, .v = {1, 2, 3}};
        struct ledger_entry before = ledger->entry[id];

        for (unsigned i = 0; i < SYSCTL_COUNT; i++)
                if (ledger->entry[i].at == UINT64_MAX)
                        return; /* five centuries after boot there is no later time */
        ledger_note(ledger, id, &live, &value, "some-rule", 1);
        assert(ledger_last_held(ledger, 0) == id && sysctl_equal(&ledger->entry[id].written, &value));
        assert(sysctl_equal(&ledger->entry[id].original, before.state == LEDGER_HELD ? &before.original : &live));
}

/* The text as it is, or with the checksum that its lines should have: no mutation finds that. */
static char *text_whole(const uint8_t *data, size_t size, bool mend)
{
        char *text = text_new(data, size), *end = mend ? strstr(text, "\nend\t") : NULL, *mended;

        if (!end)
                return text;
        end[1] = 0;
        if (asprintf(&mended, "%send\t%08" PRIx32 "\n", text, ledger_checksum(text, strlen(text))) < 0)
                abort();
        free(text);
        return mended;
}

static void check(char *text, size_t size)
{
        struct ledger_owner owner = owner_of(text);
        struct ledger ledger, untouched;

        memset(&ledger, 0xa5, sizeof(ledger));
        untouched = ledger;
        if (ledger_parse(text, &owner, &ledger) == 0) {
                check_text(&ledger, &owner, size);
                check_held(&ledger);
                check_note(&ledger, size % SYSCTL_COUNT);
        } else {
                assert(memcmp(&ledger, &untouched, sizeof(ledger)) == 0);
        }
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        check(text_whole(data, size, false), size);
        check(text_whole(data, size, true), size);
        return 0;
}
