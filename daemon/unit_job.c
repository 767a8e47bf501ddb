/* SPDX-License-Identifier: MIT */
#include "daemon/unit_job.h"

#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define SELF "/org/freedesktop/systemd1/unit/self" /* the caller's unit (systemd's core/dbus.c:find_unit) */
#define TIMEOUT_US 2000000                         /* short, because the stop of the unit waits for us */

/* Reads the type of our unit's job: "restart" until the unit has stopped, when systemd restarts it
 * (org.freedesktop.systemd1(5)). Returns a negative errno on failure, else the caller frees *ret. */
static int read_job_type(sd_bus *bus, char **ret)
{
        sd_bus_message *reply = NULL;
        const char *job;
        int r = sd_bus_get_property(bus, SYSTEMD, SELF, SYSTEMD ".Unit", "Job", NULL, &reply, "(uo)");

        if (r >= 0)
                r = sd_bus_message_read(reply, "(uo)", NULL, &job);
        if (r >= 0)
                r = sd_bus_get_property_string(bus, SYSTEMD, job, SYSTEMD ".Job", "JobType", NULL, ret);
        sd_bus_message_unref(reply);
        return r;
}

bool unit_job_is_stop(void)
{
        sd_bus *bus = NULL;
        char *type = NULL;
        int r = sd_bus_open_system(&bus);
        bool is_stop;

        if (r >= 0)
                r = sd_bus_set_method_call_timeout(bus, TIMEOUT_US);
        if (r >= 0)
                r = read_job_type(bus, &type);
        is_stop = r >= 0 && strcmp(type, "stop") == 0;
        sd_bus_flush_close_unref(bus);
        free(type);
        return is_stop;
}
