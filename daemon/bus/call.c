/* SPDX-License-Identifier: MIT */
#include "daemon/bus/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/status.h"

#define ERROR_NO_SUCH_SYSCTL BUS_NAME ".NoSuchSysctl"
#define ERROR_NOT_POSSIBLE BUS_NAME ".NotPossible"

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *error)
{
        const struct bus *b = userdata;
        const char *text = b->tuner->status.text;

        (void)bus, (void)path, (void)interface, (void)error;
        if (strcmp(property, "Version") == 0)
                text = TWTUNED_VERSION;
        else if (strcmp(property, "Mode") == 0)
                text = b->tuner->config->observe ? "observe" : "enforce";
        else if (strcmp(property, "State") == 0)
                text = daemon_state_names[b->tuner->status.state];
        return sd_bus_message_append(reply, "s", text);
}

static int get_bool(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *error)
{
        const struct bus *b = userdata;
        bool value = strcmp(property, "Paused") == 0 ? b->tuner->paused_until > 0 : b->recording;

        (void)bus, (void)path, (void)interface, (void)error;
        return sd_bus_message_append(reply, "b", (int)value);
}

static void call_free(struct bus_call *c)
{
        c->slot = sd_bus_slot_unref(c->slot);
        c->message = sd_bus_message_unref(c->message);
        if (c->fd >= 0)
                close(c->fd);
        *c = (struct bus_call){.fd = -1};
}

void bus_drop_calls(struct bus *b)
{
        for (unsigned i = 0; i < BUS_CALLS_MAX; i++)
                if (b->call[i].message)
                        call_free(&b->call[i]);
}

void bus_drop_client(struct bus *b)
{
        if (b->record_fd >= 0)
                close(b->record_fd);
        b->record_fd = -1;
        b->client_gone |= b->client != NULL;
        b->client = sd_bus_track_unref(b->client); /* in libsystemd 252 an empty track makes the event loop spin */
}

static int on_client(sd_bus_track *track, void *userdata)
{
        (void)track;
        bus_drop_client(userdata);
        return 0;
}

static int accept_record(struct bus_call *c)
{
        struct bus *b = c->bus;
        int r;

        if ((b->recording && !b->client_gone) || b->record_fd >= 0)
                return -EBUSY;
        b->client = sd_bus_track_unref(b->client);
        r = sd_bus_track_new(b->bus, &b->client, on_client, b);
        if (r >= 0)
                r = sd_bus_track_add_sender(b->client, c->message);
        if (r < 0)
                return r;
        b->record_fd = c->fd;
        c->fd = -1;
        return 0;
}

/* Stores the request for the next tick. */
static int accept(struct bus_call *c)
{
        struct requests *asked = &c->bus->tuner->requests;

        switch (c->kind) {
        case BUS_PAUSE:
                asked->pause = true;
                asked->resume = false;
                asked->pause_ns = c->ns;
                return 0;
        case BUS_RESUME:
                asked->resume = true;
                asked->pause = false;
                return 0;
        case BUS_RELEASE:
                asked->release |= c->sysctls;
                asked->rearm &= ~c->sysctls;
                asked->release_all |= c->all;
                return 0;
        case BUS_REARM:
                asked->rearm |= c->sysctls;
                asked->release &= ~c->sysctls;
                return 0;
        case BUS_RECORD:
                return accept_record(c);
        }
        return -EINVAL;
}

/* Accepts the call if its sender is root, else refuses it. This is a second check: the bus's policy
 * (org.twtuned1.conf) lets only root call. */
static int on_sender(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus_call *c = userdata;
        uint32_t uid;
        int r;

        (void)error;
        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &uid) < 0)
                uid = UINT32_MAX;
        if (uid != 0) {
                sd_bus_reply_method_errorf(c->message, SD_BUS_ERROR_ACCESS_DENIED, "Only root may do that");
                call_free(c);
                return 0;
        }
        c->slot = sd_bus_slot_unref(c->slot);
        r = accept(c);
        if (r == -EBUSY)
                sd_bus_reply_method_errorf(c->message, ERROR_NOT_POSSIBLE, "A recording is already running");
        else if (r < 0)
                sd_bus_reply_method_errno(c->message, r, NULL);
        if (r < 0)
                call_free(c);
        return 0;
}

static int call_begin(struct bus *b, sd_bus_message *m, const struct bus_call *what, sd_bus_error *error)
{
        for (unsigned i = 0; i < BUS_CALLS_MAX; i++) {
                struct bus_call *c = &b->call[i];
                int r;

                if (c->message)
                        continue;
                *c = *what;
                c->bus = b;
                c->message = sd_bus_message_ref(m);
                r = ask_uid(b->bus, m, on_sender, c, &c->slot);
                if (r < 0)
                        call_free(c);
                return r < 0 ? r : 1;
        }
        if (what->fd >= 0)
                close(what->fd);
        return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls are waiting; try again later");
}

static int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus_call call = {.kind = BUS_PAUSE, .fd = -1};
        uint64_t usec;
        int r = sd_bus_message_read(m, "t", &usec);

        if (r < 0)
                return r;
        call.ns = usec < UINT64_MAX / 2000 ? usec * 1000 : 0; /* 0, and over 292 years: until resumed */
        return call_begin(userdata, m, &call, error);
}

static int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return call_begin(userdata, m, &(struct bus_call){.kind = BUS_RESUME, .fd = -1}, error);
}

static int read_sysctl(sd_bus_message *m, enum sysctl_id *ret, sd_bus_error *error)
{
        const char *name;
        int r = sd_bus_message_read(m, "s", &name);

        if (r < 0)
                return r;
        *ret = sysctl_find(name);
        if (*ret == SYSCTL_COUNT)
                return sd_bus_error_setf(error, ERROR_NO_SUCH_SYSCTL, "twtuned knows no sysctl %s", name);
        return 0;
}

static int refuse_release(const struct bus *b, sd_bus_error *error)
{
        if (ledger_last_held(&b->tuner->apply.ledger, 0) == SYSCTL_COUNT)
                return sd_bus_error_setf(error, ERROR_NOT_POSSIBLE, "twtuned only observes: it holds nothing");
        return sd_bus_error_setf(error, ERROR_NOT_POSSIBLE,
                                 "twtuned only observes and writes nothing; to put back what an earlier twtuned left "
                                 "changed, stop twtuned and run: twtuned --restore");
}

static int method_release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus_call call = {.kind = BUS_RELEASE, .fd = -1};
        struct bus *b = userdata;
        enum sysctl_id id;
        int r = read_sysctl(m, &id, error);

        if (r < 0)
                return r;
        if (b->tuner->config->observe)
                return refuse_release(b, error);
        if (sysctl_table[id].never)
                return sd_bus_error_setf(error, ERROR_NOT_POSSIBLE, "twtuned never writes %s: %s",
                                         sysctl_table[id].name, sysctl_table[id].never);
        call.sysctls = UINT32_C(1) << id;
        return call_begin(b, m, &call, error);
}

static int method_release_all(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus_call call = {.kind = BUS_RELEASE, .all = true, .fd = -1};
        struct bus *b = userdata;

        if (b->tuner->config->observe)
                return refuse_release(b, error);
        return call_begin(b, m, &call, error);
}

static int method_rearm(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus_call call = {.kind = BUS_REARM, .fd = -1};
        struct bus *b = userdata;
        enum sysctl_id id;
        int r = read_sysctl(m, &id, error);

        if (r < 0)
                return r;
        if (!policy_is_foreign(b->tuner->policy, id))
                return sd_bus_error_setf(error, ERROR_NOT_POSSIBLE,
                                         "%s needs no rearm: twtuned does not leave it alone", sysctl_table[id].name);
        call.sysctls = UINT32_C(1) << id;
        return call_begin(b, m, &call, error);
}

/* Returns why fd cannot take a recording; NULL: it can. A pipe or a socket could make a tick wait for its reader. */
static const char *what_is_wrong_with(int fd)
{
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        if (flags < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return "it is no regular file";
        if ((flags & O_ACCMODE) == O_RDONLY || !(flags & O_APPEND))
                return "it is not open for appending";
        return st.st_size > 0 ? "it is not empty" : NULL;
}

static int method_record(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus_call call = {.kind = BUS_RECORD};
        const char *wrong;
        int fd, r = sd_bus_message_read(m, "h", &fd);

        if (r < 0)
                return r;
        wrong = what_is_wrong_with(fd);
        if (wrong)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Cannot record there: %s", wrong);
        call.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return call.fd < 0 ? -errno : call_begin(userdata, m, &call, error);
}

/* Returns the sysctls that the tick failed to release, a bit each. */
static uint32_t still_held(const struct bus_call *c)
{
        const struct ledger *ledger = &c->bus->tuner->apply.ledger;
        uint32_t held = 0;

        for (unsigned id = 0; id < SYSCTL_COUNT && c->kind == BUS_RELEASE; id++)
                if (ledger->entry[id].state == LEDGER_HELD && (c->all || (c->sysctls >> id & 1)))
                        held |= UINT32_C(1) << id;
        return held;
}

void bus_answer_calls(struct bus *b)
{
        for (unsigned i = 0; i < BUS_CALLS_MAX; i++) {
                struct bus_call *c = &b->call[i];
                uint32_t held;

                if (!c->message || c->slot)
                        continue;
                held = still_held(c);
                if (held != 0)
                        sd_bus_reply_method_errorf(c->message, ERROR_NOT_POSSIBLE,
                                                   "%s could not be put back; the log says why",
                                                   sysctl_table[__builtin_ctz(held)].name);
                else
                        sd_bus_reply_method_return(c->message, NULL);
                call_free(c);
        }
}

/* org.twtuned1.conf says who may call what, and on_sender() checks again. Without this flag sd-bus asks the bus for
 * the sender's capabilities, and waits for the answer (sd-bus/bus-objects.c:check_access). */
#define ANYONE SD_BUS_VTABLE_UNPRIVILEGED

const sd_bus_vtable bus_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mode", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("State", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Status", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Paused", "b", get_bool, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Recording", "b", get_bool, 0, 0),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), readers_describe, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_pause, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("s", sysctl), SD_BUS_NO_RESULT, method_release, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("ReleaseAll", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_release_all, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Rearm", SD_BUS_ARGS("s", sysctl), SD_BUS_NO_RESULT, method_rearm, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Record", SD_BUS_ARGS("h", fd), SD_BUS_NO_RESULT, method_record, ANYONE),
        SD_BUS_SIGNAL_WITH_ARGS("Changed",
                                SD_BUS_ARGS("s", event, "s", sysctl, "s", from, "s", to, "s", rule, "s", message), 0),
        SD_BUS_VTABLE_END,
};
