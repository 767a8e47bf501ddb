/* SPDX-License-Identifier: MIT */
#pragma once

/* A backend that fails on demand, and the tick over it. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "config_text.h"
#include "daemon/tick.h"
#include "run.h"

#define S NSEC_PER_SEC
#define FIN SYSCTL_TCP_FIN_TIMEOUT
#define REUSE SYSCTL_TCP_TW_REUSE
#define INSTANTS_MAX 64u

/* What a process that is killed leaves behind. */
struct instant {
        struct ledger file;
        struct sysctl_preset owner[SYSCTL_COUNT];
        int64_t live[SYSCTL_COUNT];
};

static struct fake {
        struct backend backend; /* first */
        uint64_t now, dump_ns;
        double fin_wait2;
        int64_t live[SYSCTL_COUNT];
        struct ledger file;
        struct sysctl_preset owner[SYSCTL_COUNT];
        unsigned writes, events[AUDIT_KIND_COUNT];
        int read_error, write_error, save_error, observe_error;
        uint32_t write_spared;     /* a bit for each sysctl whose writes do not fail */
        unsigned read_error_after; /* good reads first */
        int lone_error;            /* of one source; the others can be read */
        bool bounds;               /* fin_wait2 is only in a dump */
        bool swallow;              /* writes say 0 and do nothing */
        bool lacks_reuse;          /* the kernel has no tcp_tw_reuse */
        char loaded[640], status[256];
        void (*also)(struct snapshot *snapshot); /* sees more; NULL: no more */
        int64_t meanwhile;                       /* what someone sets FIN to, right after it was observed; 0: nobody */
        unsigned bent;                           /* so many of the next writes take another value */
        struct audit_text last[AUDIT_KIND_COUNT];
        struct instant instant[INSTANTS_MAX]; /* after each save and each write, the first ones */
        unsigned n_instants;
        uint64_t cgroup; /* of a live socket, for who looks for one */
        unsigned lookups;
        unsigned sought_after; /* the number of writes when such a socket was first looked for */
} fake;

static struct tuner tuner;

static inline void observe(struct backend *w, struct snapshot *s, bool *ret_dump, struct unread *unread)
{
        (void)w;
        *s = (struct snapshot){.now = fake.now, .dump_ns = fake.dump_ns, .memory_bytes = UINT64_C(1) << 34};
        *ret_dump = false;
        unread_add(unread, fake.observe_error, "the fake backend");
        if (fake.observe_error < 0)
                return;
        unread_add(unread, fake.lone_error, "one source");
        s->reading[METRIC_TCP_FIN_WAIT2] = fake.bounds ? reading_bounded(0, INFINITY) : reading_valid(fake.fin_wait2);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                s->sysctl[id] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(fake.live[id])};
        if (fake.lacks_reuse)
                s->sysctl[REUSE].state = READING_UNAVAILABLE;
        if (fake.also)
                fake.also(s);
        if (fake.meanwhile != 0)
                fake.live[FIN] = fake.meanwhile;
        fake.meanwhile = 0;
}

static inline void note_instant(void)
{
        struct instant *i = &fake.instant[fake.n_instants];

        if (fake.n_instants == INSTANTS_MAX)
                return;
        fake.n_instants++;
        i->file = fake.file;
        memcpy(i->live, fake.live, sizeof(i->live));
}

static inline bool observe_states(struct backend *w, struct snapshot *s, struct unread *unread)
{
        (void)w, (void)unread;
        if (fake.bounds)
                s->reading[METRIC_TCP_FIN_WAIT2] = reading_valid(fake.fin_wait2);
        return fake.bounds;
}

static inline void observe_sockets(struct backend *w, const struct watch_list *watch, struct snapshot *s,
                                   struct unread *unread)
{
        (void)watch;
        observe_states(w, s, unread);
}

static inline int sysctl_read(struct backend *w, enum sysctl_id id, struct sysctl_value *ret)
{
        (void)w;
        if (fake.read_error < 0 && fake.read_error_after-- == 0) {
                fake.read_error_after = 0;
                return fake.read_error;
        }
        *ret = SYSCTL_VALUE(fake.live[id]);
        return 0;
}

static inline int sysctl_write(struct backend *w, enum sysctl_id id, const struct sysctl_value *value)
{
        (void)w;
        fake.writes++;
        if (fake.write_error < 0 && !(fake.write_spared >> id & 1))
                return fake.write_error;
        /* Promise: the original is on disk before the first write. */
        ck_assert_int_ne(fake.file.entry[id].state, LEDGER_NONE);
        if (!fake.swallow)
                fake.live[id] = value->v[0] + (fake.bent > 0);
        fake.bent -= fake.bent > 0;
        note_instant();
        return 0;
}

static inline void sysctl_preset(struct backend *w, enum sysctl_id id, struct sysctl_preset *ret)
{
        (void)w;
        *ret = fake.owner[id];
}

static inline int ledger_save(struct backend *w, const struct ledger *ledger)
{
        (void)w;
        if (fake.save_error == 0)
                fake.file = *ledger;
        note_instant();
        return fake.save_error;
}

static inline const char *find_unit(struct backend *w, uint64_t cgroup)
{
        (void)w;
        return cgroup == 4711 ? "group.service" : "";
}

static inline uint64_t find_cgroup(struct backend *w, uint64_t destination)
{
        (void)w, (void)destination;
        if (fake.lookups++ == 0)
                fake.sought_after = fake.writes;
        return fake.cgroup;
}

static inline void report(struct backend *w, const struct audit_record *record)
{
        static struct audit_text text;
        const struct audit_text *event = &text;
        const char *lacking;

        (void)w;
        audit_text_make(&text, record);
        lacking = catalog_lacks(event);
        ck_assert_msg(!lacking, "%s has no %s, which the catalog names", audit_kinds[event->kind].name, lacking);
        fake.events[event->kind]++;
        fake.last[event->kind] = *event;
        if (event->kind == AUDIT_CONFIG_LOADED)
                snprintf(fake.loaded, sizeof(fake.loaded), "%s", audit_text_field(event, 0));
}

static inline void notify(struct backend *w, const char *state)
{
        const char *status = strstr(state, "STATUS=");

        (void)w;
        if (status)
                snprintf(fake.status, sizeof(fake.status), "%s", status + strlen("STATUS="));
}

static inline void set_up(void)
{
        fake = (struct fake){
                .backend = {observe, observe_states, observe_sockets, sysctl_read, sysctl_write, sysctl_preset,
                            ledger_save, find_unit, find_cgroup, report, notify},
                .now = 1000 * S,
        };
        fake.live[FIN] = 60;
        fake.live[REUSE] = 2;
        fake.live[SYSCTL_TCP_TIMESTAMPS] = 1;
        fake.live[SYSCTL_TCP_KEEPALIVE_PROBES] = 9;
}

static inline void start(const char *text)
{
        memset(&tuner, 0, sizeof(tuner));
        tuner.apply.ledger = fake.file;
        ck_assert_int_eq(tuner_start(&tuner, &fake.backend, config_of(text), fake.now), 0);
}

/* As after kill -9: nothing is put in order before, only freed. */
static inline void start_again(const char *text)
{
        tuner_stop(&tuner);
        start(text);
}

/* A field of the last event of a kind; "": it has none. */
static inline const char *logged(enum audit_kind kind, const char *name)
{
        return audit_text_value(&fake.last[kind], name);
}

static inline void ticks(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                fake.now += S;
                tick(&tuner);
        }
}

static inline void reload(const char *text)
{
        ck_assert_int_eq(tuner_reload(&tuner, config_of(text)), 0);
}
