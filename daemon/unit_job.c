/* SPDX-License-Identifier: MIT */
#include "daemon/unit_job.h"

#include <errno.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "daemon/now.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SELF "/org/freedesktop/systemd1/unit/self" /* the caller's unit (systemd's core/dbus.c:find_unit) */
#define TIMEOUT_US 2000000                         /* in all, because the stop of the unit waits for us */

struct question {
        sd_bus *bus;
        bool answered, is_stop;
};

static int get_property(struct question *q, const char *path, const char *interface, const char *property,
                        sd_bus_message_handler_t callback)
{
        return sd_bus_call_method_async(q->bus, NULL, SYSTEMD, path, "org.freedesktop.DBus.Properties", "Get",
                                        callback, q, "ss", interface, property);
}

static int on_type(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct question *q = userdata;
        const char *type;

        (void)error;
        q->answered = true;
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "v", "s", &type) >= 0)
                q->is_stop = strcmp(type, "stop") == 0;
        return 0;
}

static int on_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct question *q = userdata;
        const char *job;

        (void)error;
        q->answered = sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "v", "(uo)", NULL, &job) < 0 ||
                      get_property(q, job, SYSTEMD ".Job", "JobType", on_type) < 0;
        return 0;
}

/* If systemd restarts our unit, the type of its job is "restart" until the unit has stopped
 * (org.freedesktop.systemd1(5)). Polls, as libsystemd's blocking calls have no timeout while they connect. */
bool unit_job_is_stop(void)
{
        uint64_t until = now_monotonic_us() + TIMEOUT_US, now;
        struct question q = {0};
        int r = sd_bus_open_system(&q.bus);

        if (r >= 0)
                r = get_property(&q, SELF, SYSTEMD ".Unit", "Job", on_job);
        while (r >= 0 && !q.answered && (now = now_monotonic_us()) < until) {
                r = sd_bus_process(q.bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(q.bus, until - now);
                if (r == -EINTR)
                        r = 0;
        }
        sd_bus_close_unref(q.bus);
        return q.is_stop;
}
