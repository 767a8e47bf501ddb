/* SPDX-License-Identifier: MIT */
#include "ctl/client.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/description.h"
#include "ctl/terminal.h"
#include "lib/util/safe.h"

#define BUS_NAME "org.twtuned1"
#define INSTANCES_PATH "/org/twtuned1/instance"
#define BUS_TRIES 5
#define NAME_TRIES 12 /* NAME_US apart, so 5.5 s in all: the daemon requests its name every 5 s */
#define NAME_US 500000
#define LOOK_TRIES 5u
#define LOOK_SECONDS 0.5 /* the longest wait between two tries */
/* The daemon replies to a change after its next tick, and interval may be 1min. A busy machine adds to the wait. */
#define CALL_TIMEOUT_US (90 * UINT64_C(1000000))

/* Sets the bus name, and the object path: the same name with slashes. */
static void set_name(struct client *c, const char *name)
{
        snprintf(c->name, sizeof(c->name), "%s", name);
        snprintf(c->path, sizeof(c->path), "/%s", name);
        for (char *dot = c->path; (dot = strchr(dot, '.'));)
                *dot = '/';
}

static int open_bus(sd_bus **ret)
{
        int r = sd_bus_open_system(ret);

        return r < 0 ? r : sd_bus_set_method_call_timeout(*ret, CALL_TIMEOUT_US);
}

int client_open(struct client *c, const char *instance)
{
        char name[BUS_NAME_SIZE] = BUS_NAME, *path = NULL;
        int r;

        *c = (struct client){.instance = instance};
        if (instance && sd_bus_path_encode("/", instance, &path) >= 0)
                snprintf(name, sizeof(name), BUS_NAME ".instance.%s", path + 1);
        free(path);
        set_name(c, name);
        r = open_bus(&c->bus);
        if (r < 0)
                return complain(EX_UNAVAILABLE,
                                "cannot connect to the system bus: %s; twtuned may run without it, see: "
                                "systemctl status twtuned",
                                strerror(-r));
        return 0;
}

void client_close(struct client *c)
{
        c->bus = sd_bus_flush_close_unref(c->bus);
}

/* True if systemd says that the unit is active. */
static bool unit_is_active(sd_bus *bus, const char *instance)
{
        char unit[256], *path = NULL, *state = NULL;
        bool active;

        snprintf(unit, sizeof(unit), "twtuned%s%s.service", instance ? "@" : "", instance ? instance : "");
        active = bus && sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path) >= 0 &&
                 sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path, "org.freedesktop.systemd1.Unit",
                                            "ActiveState", NULL, &state) >= 0 &&
                 strcmp(state, "active") == 0;
        free(path);
        free(state);
        return active;
}

static int complain_not_running(sd_bus *bus, const char *instance)
{
        const char *at = instance ? "@" : "", *name = instance ? instance : "";

        if (unit_is_active(bus, instance))
                return complain(EXIT_NOT_RUNNING,
                                "twtuned%s%s runs, but is not on the bus; let the bus read its policy again: "
                                "systemctl reload dbus",
                                at, name);
        return complain(EXIT_NOT_RUNNING,
                        "twtuned%s%s is not running; start it with: systemctl enable --now twtuned%s%s", at, name, at,
                        name);
}

static bool has_no_owner(const sd_bus_error *error)
{
        return sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

/* Prints why a call failed and returns the exit status. */
static int explain_error(const struct client *c, const sd_bus_error *error, int r)
{
        if (has_no_owner(error))
                return complain_not_running(c->bus, c->instance);
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
                return complain(EX_NOPERM, "only root may do that");
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                return complain(EXIT_FAILURE, "twtuned does not answer, or has just ended");
        if (r == -ENOTCONN || r == -ECONNRESET)
                return complain(EX_UNAVAILABLE, "the system bus has closed the connection");
        return complain(EXIT_FAILURE, "%s", error->message ? error->message : strerror(-r));
}

/* Makes every string in a value safe to print (lib/util/safe.h). Returns the value. */
static json_t *safe_json(json_t *value)
{
        const char *text = json_string_value(value), *key;
        char *safe;
        json_t *item;
        size_t i;

        json_object_foreach(value, key, item)
                safe_json(item);
        json_array_foreach(value, i, item)
                safe_json(item);
        if (text && (safe = malloc(4 * strlen(text) + 1))) {
                json_string_set(value, safe_text(text, safe, 4 * strlen(text) + 1));
                free(safe);
        }
        return value;
}

/* Calls Describe(), up to NAME_TRIES times while the unit is active but nobody owns its bus name: right after a start
 * the daemon may not own the name yet, and right after an install the bus may not have read org.twtuned1.conf. The
 * daemon requests the name every 5 s. */
static int call_named(struct client *c, sd_bus_error *error, sd_bus_message **ret)
{
        for (unsigned tries = 1;; tries++) {
                int r = sd_bus_call_method(c->bus, c->name, c->path, BUS_NAME, "Describe", error, ret, NULL);

                if (r >= 0 || !has_no_owner(error) || tries == NAME_TRIES || !unit_is_active(c->bus, c->instance))
                        return r;
                sd_bus_error_free(error);
                usleep(NAME_US);
        }
}

/* Like call_named(), but if the bus has closed the connection, as a flooded bus may do after a long wait, connects
 * and calls again. */
static int call_describe(struct client *c, sd_bus_error *error, sd_bus_message **ret)
{
        for (unsigned tries = 1;; tries++) {
                int r = c->bus ? call_named(c, error, ret) : -ENOTCONN;

                if ((r != -ENOTCONN && r != -ECONNRESET) || tries == BUS_TRIES)
                        return r;
                sd_bus_error_free(error);
                c->bus = sd_bus_close_unref(c->bus);
                r = open_bus(&c->bus);
                if (r < 0) {
                        c->bus = sd_bus_close_unref(c->bus);
                        return -ENOTCONN;
                }
        }
}

int client_describe(struct client *c, json_t **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r = call_describe(c, &error, &reply);

        /* A daemon that exits during a call never replies; the second call then reports that it is gone. */
        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_NO_REPLY)) {
                sd_bus_error_free(&error);
                r = call_describe(c, &error, &reply);
        }
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED))
                return complain(EX_NOPERM,
                                "the bus denies the call: it has not read "
                                "/usr/share/dbus-1/system.d/org.twtuned1.conf yet, or another policy file denies the "
                                "call; try: systemctl reload dbus");
        if (r < 0)
                return explain_error(c, &error, r);
        *ret = safe_json(json_loads(text, 0, NULL));
        return *ret ? 0 : complain(EX_PROTOCOL, "twtuned sent invalid JSON; it may be another version");
}

int client_call(struct client *c, const char *method, const char *types, ...)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list args;
        int r;

        va_start(args, types);
        r = sd_bus_call_methodv(c->bus, c->name, c->path, BUS_NAME, method, &error, NULL, types, args);
        va_end(args);
        return r < 0 ? explain_error(c, &error, r) : 0;
}

int describe_once(const char *instance, json_t **ret)
{
        _cleanup_(client_close) struct client client;
        int status = client_open(&client, instance);

        return status == 0 ? client_describe(&client, ret) : status;
}

int describe_now(const char *instance, json_t **ret)
{
        _cleanup_(client_close) struct client client;
        int status = client_open(&client, instance);

        if (status == 0)
                status = client_describe(&client, ret);
        for (unsigned i = 0; status == 0 && i < LOOK_TRIES && is_true(*ret, "look_pending"); i++) {
                usleep((useconds_t)(1e6 * fmin(number_of(*ret, "interval") / 2, LOOK_SECONDS)));
                json_decref(*ret);
                *ret = NULL;
                status = client_describe(&client, ret);
        }
        return status;
}

int call_once(const char *instance, const char *method, const char *argument)
{
        _cleanup_(client_close) struct client client;
        int status = client_open(&client, instance);

        return status == 0 ? client_call(&client, method, argument ? "s" : "", argument) : status;
}

int show_part(const struct options *o, const char *key, void (*print)(const json_t *part))
{
        json_auto_t *d = NULL;
        const json_t *part;
        int status = describe_once(o->instance, &d);

        if (status != 0)
                return status;
        part = json_object_get(d, key);
        if (o->json)
                return print_json(part);
        pager_open(o);
        print(part);
        return 0;
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends the description of the instance that owns a bus name. Prints an error instead if the call fails, for
 * example because the instance has just ended. */
static int append_description(struct client *c, const char *name, json_t *list)
{
        char *instance = NULL;
        json_t *d;
        int status;

        set_name(c, name);
        if (strcmp(name, BUS_NAME) != 0 && sd_bus_path_decode(c->path, INSTANCES_PATH, &instance) <= 0)
                return 0; /* another program's name */
        c->instance = instance;
        status = client_describe(c, &d);
        if (status == 0)
                json_array_append_new(list, d);
        free(instance);
        c->instance = NULL;
        return status;
}

int describe_all(json_t **ret)
{
        _cleanup_(client_close) struct client client;
        int status = client_open(&client, NULL), r;
        char **names;
        size_t n = 0;

        if (status != 0)
                return status;
        r = sd_bus_list_names(client.bus, &names, NULL);
        if (r < 0)
                return explain_error(&client, &SD_BUS_ERROR_NULL, r);
        while (names[n])
                n++;
        qsort(names, n, sizeof(*names), compare);
        *ret = json_array();
        for (size_t i = 0; i < n; i++) {
                r = append_description(&client, names[i], *ret);
                status = status != 0 ? status : r;
                free(names[i]);
        }
        free(names);
        return json_array_size(*ret) == 0 ? status : 0;
}
