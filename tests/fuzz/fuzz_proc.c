/* SPDX-License-Identifier: MIT */
/* A file under /proc, read as each of those that the observer reads: twice, as it does. */

#define _GNU_SOURCE /* memfd_create() */
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/observe/internal.h"
#include "lib/util/macro.h"
#include "text.h"

static struct observer observer;
static struct snapshot snapshot;
static int memory = -1;

static void set_text(const uint8_t *data, size_t size)
{
        if (memory < 0)
                memory = memfd_create("proc", MFD_CLOEXEC);
        assert(memory >= 0 && ftruncate(memory, (off_t)size) == 0);
        assert(pwrite(memory, data, size, 0) == (ssize_t)size);
}

/* Everything is wanted, and the counters are those that the file itself has. */
static void begin(struct observer *o)
{
        static char text[SOURCE_TEXT_SIZE];

        memset(o, 0, sizeof(*o));
        for (unsigned i = 0; i < SOURCE_COUNT; i++)
                o->file[i].fd = memory;
        o->text = text;
        o->text_size = sizeof(text);
        for (unsigned i = 0; i < METRIC_COUNT; i++)
                o->wanted[i] = true;
        counters_init(&o->counters);
        if (source_read(o, SOURCE_NETSTAT) == 0) {
                counters_add_all(&o->counters, "netstat", o->text);
                counters_add_all(&o->counters, "snmp", o->text);
        }
}

static void fill_sysctl(struct observer *o, enum sysctl_id id)
{
        struct live_sysctl *live = &snapshot.sysctl[id];
        struct sysctl_value again;
        char text[SYSCTL_TEXT_MAX];

        live->state = observer_sysctl_read(o, id, &live->value) == 0 ? READING_VALID : READING_INVALID;
        if (live->state != READING_VALID)
                return;
        assert(live->value.n == sysctl_table[id].n);
        assert(sysctl_parse(id, sysctl_format(&live->value, text), &again) == 0);
        assert(sysctl_equal(&again, &live->value));
}

/* Where the file cannot be a sysctl, shares are of some table all the same. */
static void fill_sysctl_of_each(struct observer *o)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                fill_sysctl(o, id);
                if (snapshot.sysctl[id].state != READING_VALID)
                        snapshot.sysctl[id] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(262144)};
        }
}

static void check_limits(struct observer *o)
{
        char *text = NULL;
        struct port_set again = {0};

        read_limits(o, &snapshot);
        if (!o->limits_known)
                return;
        assert(o->limits.low >= 1 && o->limits.low <= o->limits.high && o->limits.high <= UINT16_MAX);
        text = malloc(PORT_SET_TEXT_MAX);
        assert(port_set_format(&o->reserved, text) < PORT_SET_TEXT_MAX);
        assert(port_set_parse(text, &again) == 0 && memcmp(&again, &o->reserved, sizeof(again)) == 0);
        free(text);
}

static void read_all(struct observer *o)
{
        o->now += 10 * NSEC_PER_SEC;
        o->tick = NSEC_PER_SEC;
        memset(snapshot.reading, 0, sizeof(snapshot.reading));
        fill_sysctl_of_each(o);
        check_limits(o);
        fill_counters(o, &snapshot);
        fill_sockstat(o, &snapshot);
        fill_conntrack(o, &snapshot);
        fill_self(o, &snapshot);
}

/* A file that has not changed: nothing happened. Counters that could not be read tell nothing. */
static void check_second(const struct observer *o)
{
        for (unsigned i = 0; o->error[SOURCE_NETSTAT] == 0 && i < o->counters.n; i++) {
                const struct reading *r = &snapshot.reading[METRIC_COUNT + i];

                assert(!o->counters.item[i].seen == (r->state == READING_UNAVAILABLE));
                assert(o->counters.item[i].gauge || r->value == 0);
                assert(counters_find(&o->counters, o->counters.item[i].name) == i);
        }
        if (snapshot.reading[METRIC_CONNTRACK_INSERT_FAILED].state == READING_VALID)
                assert(snapshot.reading[METRIC_CONNTRACK_INSERT_FAILED].value == 0);
}

static void check_readings(void)
{
        for (unsigned i = 0; i < ELEMENTSOF(snapshot.reading); i++)
                if (snapshot.reading[i].state == READING_VALID)
                        assert(isfinite(snapshot.reading[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        set_text(data, size);
        begin(&observer);
        read_all(&observer);
        check_readings();
        read_all(&observer);
        check_readings();
        check_second(&observer);
        return 0;
}
