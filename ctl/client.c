/* SPDX-License-Identifier: MIT */
#include "ctl/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define BUS_NAME "org.twtuned1"
#define BUS_PATH "/org/twtuned1"
#define ANSWER_USEC (90 * UINT64_C(1000000)) /* a change is answered after the next tick, up to a minute later */

int client_open(struct client *c, const char *instance)
{
        char *path = NULL;
        int r;

        *c = (struct client){.instance = instance};
        snprintf(c->name, sizeof(c->name), "%s", BUS_NAME);
        snprintf(c->path, sizeof(c->path), "%s", BUS_PATH);
        if (instance && sd_bus_path_encode(BUS_PATH "/instance", instance, &path) >= 0) {
                snprintf(c->path, sizeof(c->path), "%s", path);
                snprintf(c->name, sizeof(c->name), BUS_NAME ".instance.%s", strrchr(path, '/') + 1);
                free(path);
        }
        r = sd_bus_open_system(&c->bus);
        if (r < 0)
                return complain(EX_UNAVAILABLE,
                                "cannot reach the system bus: %s; twtuned itself may be running, see: "
                                "systemctl status twtuned",
                                strerror(-r));
        return 0;
}

void client_close(struct client *c)
{
        c->bus = sd_bus_flush_close_unref(c->bus);
}

static int not_running(const struct client *c)
{
        const char *at = c->instance ? "@" : "", *instance = c->instance ? c->instance : "";

        return complain(EXIT_NOT_RUNNING,
                        "twtuned%s%s is not running; start it with: systemctl enable --now twtuned%s%s", at, instance,
                        at, instance);
}

static int explain_error(const struct client *c, const sd_bus_error *error, int r)
{
        if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return not_running(c);
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
                return complain(EX_NOPERM, "only root may change something");
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                return complain(EXIT_FAILURE, "twtuned does not answer, or has just ended");
        return complain(EXIT_FAILURE, "%s", error->message ? error->message : strerror(-r));
}

/* A daemon that ends just then gives no answer: asked once more, the bus says that there is none. */
static int ask_description(struct client *c, sd_bus_error *error, sd_bus_message **ret)
{
        int r = sd_bus_call_method(c->bus, c->name, c->path, BUS_NAME, "Describe", error, ret, NULL);

        if (r >= 0 || !sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                return r;
        sd_bus_error_free(error);
        return sd_bus_call_method(c->bus, c->name, c->path, BUS_NAME, "Describe", error, ret, NULL);
}

int client_describe(struct client *c, json_t **ret)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *text;
        int r = ask_description(c, &error, &reply), status = 0;

        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0) {
                status = explain_error(c, &error, r);
        } else {
                *ret = json_loads(text, 0, NULL);
                if (!*ret)
                        status = complain(EX_PROTOCOL, "twtuned's answer is not understood: is it another version?");
        }
        sd_bus_error_free(&error);
        sd_bus_message_unref(reply);
        return status;
}

int describe_once(const struct options *o, json_t **ret)
{
        struct client client;
        int status = client_open(&client, o->instance);

        if (status == 0)
                status = client_describe(&client, ret);
        client_close(&client);
        return status;
}

/* The name of an instance by its name on the bus; NULL: that is another's. */
static char *instance_of(const char *name)
{
        char path[256], *instance = NULL;

        if (strcmp(name, BUS_NAME) == 0)
                return strdup("");
        if (strncmp(name, BUS_NAME ".instance.", strlen(BUS_NAME ".instance.")) != 0)
                return NULL;
        snprintf(path, sizeof(path), BUS_PATH "/instance/%s", name + strlen(BUS_NAME ".instance."));
        return sd_bus_path_decode(path, BUS_PATH "/instance", &instance) > 0 ? instance : NULL;
}

int client_list(char ***ret)
{
        char **names = NULL;
        struct client c;
        size_t n = 0;
        int status = client_open(&c, NULL), r;

        if (status == 0 && (r = sd_bus_list_names(c.bus, &names, NULL)) < 0)
                status = explain_error(&c, &SD_BUS_ERROR_NULL, r);
        client_close(&c);
        for (char **name = names; name && *name; name++) {
                char *instance = instance_of(*name);

                free(*name);
                if (instance)
                        names[n++] = instance;
        }
        if (names)
                names[n] = NULL;
        *ret = names;
        return status;
}

int client_call(struct client *c, const char *method, const char *types, ...)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(c->bus, &m, c->name, c->path, BUS_NAME, method), status = 0;
        va_list args;

        va_start(args, types);
        if (r >= 0 && *types)
                r = sd_bus_message_appendv(m, types, args);
        va_end(args);
        if (r >= 0)
                r = sd_bus_call(c->bus, m, ANSWER_USEC, &error, NULL);
        if (r < 0)
                status = explain_error(c, &error, r);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        return status;
}
