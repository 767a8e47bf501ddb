/* SPDX-License-Identifier: MIT */
/* What the bus gets: the signals of each change, over a connection that is lost and made again, and the names. */

#include <limits.h>
#include <sys/socket.h>

#include "daemon/bus/bus.h"
#include "fake_backend.h"

static struct bus bus;
static sd_bus *peer; /* the other end of the connection */

static void set_bus(void)
{
        set_up();
        start("[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n");
        memset(&bus, 0, sizeof(bus));
        setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
}

static void end(void)
{
        bus_stop(&bus);
        sd_bus_close_unref(peer);
        peer = NULL;
        tuner_stop(&tuner);
}

static sd_bus *open_end(int fd, bool server)
{
        sd_bus *end;

        ck_assert_int_ge(sd_bus_new(&end), 0);
        ck_assert_int_ge(sd_bus_set_fd(end, fd, fd), 0);
        ck_assert_int_ge(sd_bus_set_anonymous(end, true), 0);
        ck_assert_int_ge(sd_bus_set_server(end, server, (sd_id128_t){.bytes = {server}}), 0);
        ck_assert_int_ge(sd_bus_start(end), 0);
        return end;
}

/* As if the bus had given us the name, without a bus: the two ends of a pair of sockets. */
static void connect_peer(void)
{
        int fd[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
        sd_bus_close_unref(peer);
        bus.bus = open_end(fd[0], false);
        peer = open_end(fd[1], true);
        while (sd_bus_is_ready(bus.bus) == 0 || sd_bus_is_ready(peer) == 0) {
                ck_assert_int_ge(sd_bus_process(bus.bus, NULL), 0);
                ck_assert_int_ge(sd_bus_process(peer, NULL), 0);
        }
        ck_assert_int_ge(sd_bus_add_object_vtable(bus.bus, NULL, bus.path, BUS_NAME, bus_vtable, &bus), 0);
        bus.named = true;
}

static void begin(void)
{
        set_bus();
        bus_start(&bus, (sd_event *)&bus, &tuner); /* not used, as there is no bus */
        ck_assert_ptr_null(bus.bus);
        connect_peer();
}

/* Returns the last string of the next signal "Changed"; NULL: no more has come. The caller frees it. */
static char *next_message(void)
{
        sd_bus_message *m = NULL;
        char *text = NULL;

        while (!text && sd_bus_process(peer, &m) > 0) {
                const char *message;

                if (m && sd_bus_message_is_signal(m, BUS_NAME, "Changed") > 0) {
                        ck_assert_int_gt(sd_bus_message_read(m, "ssssss", NULL, NULL, NULL, NULL, NULL, &message), 0);
                        text = strdup(message);
                }
                m = sd_bus_message_unref(m);
        }
        return text;
}

static void expect_message(const char *text)
{
        char *message = next_message();

        ck_assert_ptr_nonnull(message);
        ck_assert_str_eq(message, text);
        free(message);
}

static void note(enum outcome outcome, const char *where)
{
        static struct audit_text text;
        struct change change = {.sysctl = FIN,
                                .before = SYSCTL_VALUE(30),
                                .value = SYSCTL_VALUE(60),
                                .outcome = outcome,
                                .from_file = true};
        struct audit_record record = {
                .kind = AUDIT_RELEASED, .subject = SUBJECT_RESTORE, .change = &change, .rule_name = "r", .why = "why"};

        snprintf(change.reason, sizeof(change.reason), "%s", where);
        audit_text_make(&text, &record);
        bus_note(&bus, &record, &text);
}

/* FIN was restored to what sysctl.d sets at this place. */
static void restore_from(const char *where)
{
        note(OUTCOME_RESTORED, where);
}

#define RESTORED(where) "net.ipv4.tcp_fin_timeout: 30 -> 60, which " where " sets now: why"

static void tick_bus(void)
{
        tuner.snapshot.now += S;
        bus_after_tick(&bus);
}

START_TEST(a_change_is_signalled_once)
{
        restore_from("/a:1");
        tick_bus();
        expect_message(RESTORED("/a:1"));
        tick_bus();
        ck_assert_ptr_null(next_message());
}
END_TEST

START_TEST(another_value_or_owner_is_signalled)
{
        static const enum outcome signalled[] = {OUTCOME_APPLIED, OUTCOME_RESTORED, OUTCOME_KEPT, OUTCOME_FOREIGN,
                                                 OUTCOME_NOTED};
        unsigned found = 0;

        for (unsigned outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
                bool expected = false;
                char *message;

                for (unsigned i = 0; i < ELEMENTSOF(signalled); i++)
                        expected |= signalled[i] == outcome;
                note(outcome, "");
                tick_bus();
                message = next_message();
                ck_assert_msg((message != NULL) == expected, "%s", outcome_name(outcome));
                found += message != NULL;
                free(message);
        }
        ck_assert_uint_eq(found, ELEMENTSOF(signalled));
}
END_TEST

/* The connection is lost in the tick in which something changed, and is back later. */
START_TEST(changes_of_a_lost_connection_are_not_signalled_on_the_next_one)
{
        for (unsigned i = 0; i < 2 * BUS_CHANGES_MAX; i++)
                restore_from("/old:1");
        sd_bus_close(bus.bus);
        tick_bus();
        ck_assert(!bus.named);
        connect_peer();
        restore_from("/new:1");
        tick_bus();
        expect_message(RESTORED("/new:1"));
        ck_assert_ptr_null(next_message());
}
END_TEST

static bool next_is_properties(void)
{
        sd_bus_message *m = NULL;
        bool found = false;

        while (!found && sd_bus_process(peer, &m) > 0) {
                found = m && sd_bus_message_is_signal(m, NULL, "PropertiesChanged") > 0;
                m = sd_bus_message_unref(m);
        }
        return found;
}

/* Those of the last connection may have been lost with it. */
START_TEST(each_connection_gets_the_properties)
{
        ticks(1); /* the state is known */
        tick_bus();
        ck_assert(next_is_properties());
        tick_bus();
        ck_assert(!next_is_properties());
        sd_bus_close(bus.bus);
        tick_bus();
        connect_peer();
        tick_bus();
        ck_assert(next_is_properties());
}
END_TEST

/* sd-bus sends no text that is not UTF-8. */
START_TEST(names_of_files_that_are_no_text)
{
        static const char *const names[][2] = {
                {"/etc/sysctl.d/\xff.conf:1", "/etc/sysctl.d/\\xff.conf:1"},
                {"/etc/sysctl.d/\xe2\x82.conf:1", "/etc/sysctl.d/\\xe2\\x82.conf:1"},
                {"/etc/sysctl.d/\xef\xbf\xbf.conf:1", "/etc/sysctl.d/\\xef\\xbf\\xbf.conf:1"}, /* U+FFFF */
                {"/etc/sysctl.d/\xef\xb7\x90.conf:1", "/etc/sysctl.d/\\xef\\xb7\\x90.conf:1"}, /* U+FDD0 */
                {"/etc/sysctl.d/€.conf:1", "/etc/sysctl.d/€.conf:1"},
        };
        char text[512];

        for (unsigned i = 0; i < ELEMENTSOF(names); i++) {
                restore_from(names[i][0]);
                tick_bus();
                snprintf(text, sizeof(text), RESTORED("%s"), names[i][1]);
                expect_message(text);
        }
}
END_TEST

START_TEST(a_long_message_is_not_cut_within_a_character)
{
        char where[300], *message;

        for (unsigned before = 0; before < 3; before++) {
                memset(where, '-', before);
                for (unsigned n = before; n < sizeof(where) - 3; n += 3)
                        strcpy(where + n, "€");
                restore_from(where);
                tick_bus();
                message = next_message();
                ck_assert_ptr_nonnull(message);
                ck_assert_str_eq(message + strlen(message) - 3, "...");
                free(message);
        }
}
END_TEST

#define X8 "abcdefgh"
#define X64 X8 X8 X8 X8 X8 X8 X8 X8

START_TEST(the_names_of_an_instance)
{
        static const struct {
                const char *instance, *name, *path;
        } all[] = {
                {NULL, "org.twtuned1", "/org/twtuned1"},
                {"", "org.twtuned1", "/org/twtuned1"},
                {"a-1", "org.twtuned1.instance.a_2d1", "/org/twtuned1/instance/a_2d1"},
                {"1.b", "org.twtuned1.instance._31_2eb", "/org/twtuned1/instance/_31_2eb"},
                {X64 X64 "1", "org.twtuned1.instance." X64 X64 "1", "/org/twtuned1/instance/" X64 X64 "1"},
        };

        for (unsigned i = 0; i < ELEMENTSOF(all); i++) {
                if (all[i].instance)
                        setenv("TWTUNED_INSTANCE", all[i].instance, 1);
                else
                        unsetenv("TWTUNED_INSTANCE");
                set_bus();
                bus_start(&bus, (sd_event *)&bus, &tuner);
                ck_assert_str_eq(bus.name, all[i].name);
                ck_assert_str_eq(bus.path, all[i].path);
                ck_assert_str_eq(bus.instance, all[i].instance ? all[i].instance : "");
                tuner_stop(&tuner);
        }
        set_bus();
}
END_TEST

/* The bus allows 255 bytes (D-Bus specification: Bus names). */
START_TEST(the_name_of_an_instance_is_one_that_the_bus_allows)
{
        char instance[NAME_MAX + 1] = "";

        memset(instance, '-', NAME_MAX);
        setenv("TWTUNED_INSTANCE", instance, 1);
        set_bus();
        bus_start(&bus, (sd_event *)&bus, &tuner);
        ck_assert_uint_eq(strlen(bus.name), 255);
        ck_assert_uint_eq(strlen(bus.path), 256); /* twtunectl makes it of the name */
        ck_assert_str_eq(bus.instance, instance);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, begin, end);
        tcase_add_test(tcase, a_change_is_signalled_once);
        tcase_add_test(tcase, another_value_or_owner_is_signalled);
        tcase_add_test(tcase, changes_of_a_lost_connection_are_not_signalled_on_the_next_one);
        tcase_add_test(tcase, each_connection_gets_the_properties);
        tcase_add_test(tcase, names_of_files_that_are_no_text);
        tcase_add_test(tcase, a_long_message_is_not_cut_within_a_character);
        tcase_add_test(tcase, the_names_of_an_instance);
        tcase_add_test(tcase, the_name_of_an_instance_is_one_that_the_bus_allows);
}

int main(void)
{
        return run_suite("bus", add);
}
