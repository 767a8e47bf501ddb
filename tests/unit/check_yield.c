/* SPDX-License-Identifier: MIT */
/* What the administrator set is left alone, one sysctl and not the whole rule; and it is what is given back. */

#include "fake_backend.h"

#define RULE "[rule r]\nwhen = tcp.fin_wait2 >= 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
#define TWO RULE "set = net.ipv4.tcp_tw_reuse = 1\n"
#define YIELD(word) "[daemon]\nyield = " word "\n"

static void set_by(enum sysctl_id id, int64_t value, const char *where, bool admin)
{
        struct sysctl_preset *owner = &fake.owner[id];

        *owner = (struct sysctl_preset){.configured = true, .value = SYSCTL_VALUE(value), .admin = admin};
        snprintf(owner->where, sizeof(owner->where), "%s", where);
}

static void press(const char *text)
{
        start(text);
        fake.fin_wait2 = 100;
        ticks(3);
}

START_TEST(what_the_administrator_set_is_advice)
{
        set_by(FIN, 60, "/etc/sysctl.d/90-x.conf:3", true);
        press(RULE);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_uint_eq(fake.writes, 0);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
        ck_assert_msg(strstr(logged(AUDIT_ADVICE, "MESSAGE"), "/etc/sysctl.d/90-x.conf:3"), "%s",
                      logged(AUDIT_ADVICE, "MESSAGE"));
        ck_assert_str_eq(logged(AUDIT_ADVICE, "RESULT"), "yielded");
        ticks(700); /* it is tried again after 10 min, and told once */
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
        ck_assert_uint_eq(fake.writes, 0);
}
END_TEST

START_TEST(the_rest_of_the_rule_goes_on)
{
        set_by(FIN, 60, "/etc/sysctl.conf:1", true);
        press(TWO);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.live[REUSE], 1);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
}
END_TEST

/* A step goes on with what the rule holds, and takes nothing else. */
START_TEST(no_step_takes_what_the_administrator_set)
{
        set_by(FIN, 60, "/etc/sysctl.conf:1", true);
        fake.live[SYSCTL_TCP_KEEPALIVE_INTVL] = 75;
        press("[rule r]\nwhen = tcp.fin_wait2 >= 100\nlower = net.ipv4.tcp_fin_timeout /2 min 10\n"
              "lower = net.ipv4.tcp_keepalive_intvl /2 min 10\n");
        ticks(60);
        ck_assert_int_eq(fake.live[FIN], 60);
        ck_assert_int_eq(fake.live[SYSCTL_TCP_KEEPALIVE_INTVL], 10);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
}
END_TEST

/* What sysctl.d sets when the rule takes 60, and when it gives it back; what is given back then, and why. 0:
 * nothing. */
static const struct {
        int64_t taken, then, back;
        const char *from, *says;
} files[] = {
        {0, 0, 60, "original", ": tcp.fin_wait2"},
        {55, 55, 60, "original", ": tcp.fin_wait2"}, /* a person had set 60 since */
        {55, 50, 50, "/usr/lib/sysctl.d/50-x.conf:1", ", which /usr/lib/sysctl.d/50-x.conf:1 sets now: tcp.fin_wait2"},
        {0, 50, 50, "/usr/lib/sysctl.d/50-x.conf:1", ", which /usr/lib/sysctl.d/50-x.conf:1 sets now: tcp.fin_wait2"},
        {55, 0, 60, "original", ": tcp.fin_wait2"},
        {0, 2, 60, "original", "; /usr/lib/sysctl.d/50-x.conf:1 sets 2 now, which is out of bounds: tcp.fin_wait2"},
};

static void set_file(int64_t value)
{
        fake.owner[FIN] = (struct sysctl_preset){0};
        if (value > 0)
                set_by(FIN, value, "/usr/lib/sysctl.d/50-x.conf:1", false);
}

START_TEST(what_a_package_set_is_changed_and_given_back)
{
        set_file(files[_i].taken);
        press(RULE);
        ck_assert_int_eq(fake.live[FIN], 30);
        start_again(RULE);
        set_file(files[_i].then);
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], files[_i].back);
        ck_assert_str_eq(logged(AUDIT_RELEASED, "ORIGINALVALUE"), "60");
        ck_assert_str_eq(logged(AUDIT_RELEASED, "VALUEFROM"), files[_i].from);
        ck_assert_msg(strstr(logged(AUDIT_RELEASED, "MESSAGE"), files[_i].says), "%s",
                      logged(AUDIT_RELEASED, "MESSAGE"));
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
}
END_TEST

/* The same at the end, and by --restore. */
START_TEST(what_a_package_sets_now_is_put_back_at_the_end)
{
        set_file(files[_i].taken);
        press(RULE);
        set_file(files[_i].then);
        ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        ck_assert_int_eq(fake.live[FIN], files[_i].back);
        ck_assert_str_eq(logged(AUDIT_RELEASED, "VALUEFROM"), files[_i].from);
}
END_TEST

/* The value of sysctl.d was written, and could not be read back, or the process died before it saved the ledger. The
 * ledger does not know the value, but it is ours. */
START_TEST(what_a_package_sets_now_was_put_back_before)
{
        set_file(0);
        press(RULE);
        set_file(55);
        fake.live[FIN] = 55;
        if (_i == 0) {
                ck_assert_uint_eq(tuner_restore_all(&tuner, "test"), 0);
        } else {
                fake.fin_wait2 = 0;
                start_again(RULE);
                ticks(1);
        }
        ck_assert_int_eq(fake.live[FIN], 55);
        ck_assert_int_eq(fake.file.entry[FIN].state, LEDGER_RELEASED);
        ck_assert_uint_eq(fake.events[AUDIT_OVERRIDDEN], 0);
        ck_assert_str_eq(logged(AUDIT_RELEASED, "VALUEFROM"), "/usr/lib/sysctl.d/50-x.conf:1");
        ck_assert_uint_eq(fake.writes, 1);
}
END_TEST

/* The ledger of 0.1.0 does not say what sysctl.d set then. */
START_TEST(an_unknown_file_is_no_other_file)
{
        set_file(55);
        press(RULE);
        fake.file.entry[FIN].file_unknown = true;
        start_again(RULE);
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 60);
}
END_TEST

/* An original is put back as it was, also if twtuned would never set that value. */
START_TEST(an_original_out_of_bounds_is_put_back)
{
        fake.live[FIN] = 3600;
        press(RULE);
        ck_assert_int_eq(fake.live[FIN], 30);
        fake.fin_wait2 = 0;
        ticks(61);
        ck_assert_int_eq(fake.live[FIN], 3600);
}
END_TEST

START_TEST(who_yields_to_nobody)
{
        set_by(FIN, 60, "/etc/sysctl.d/90-x.conf:3", true);
        press(YIELD("no") RULE);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(who_yields_to_all_that_is_not_the_default)
{
        fake.owner[FIN] = (struct sysctl_preset){.has_default = true, .kernel_default = SYSCTL_VALUE(60)};
        fake.live[FIN] = 50;
        press(YIELD("nondefault") RULE);
        ck_assert_int_eq(fake.live[FIN], 50);
        ck_assert_msg(strstr(logged(AUDIT_ADVICE, "MESSAGE"), "not the kernel's default, 60"), "%s",
                      logged(AUDIT_ADVICE, "MESSAGE"));
        fake.live[FIN] = 60;
        ticks(700);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(an_unknown_default_is_no_reason)
{
        fake.live[FIN] = 50;
        press(YIELD("nondefault") RULE);
        ck_assert_int_eq(fake.live[FIN], 30);
}
END_TEST

START_TEST(observing_yields_as_well)
{
        set_by(FIN, 60, "/etc/sysctl.d/90-x.conf:3", true);
        press("[daemon]\nmode = observe\n" RULE);
        ck_assert_uint_eq(fake.events[AUDIT_APPLIED], 0);
        ck_assert_uint_eq(fake.events[AUDIT_ADVICE], 1);
}
END_TEST

static void tear_down(void)
{
        tuner_stop(&tuner);
}

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_test(tcase, what_the_administrator_set_is_advice);
        tcase_add_test(tcase, the_rest_of_the_rule_goes_on);
        tcase_add_test(tcase, no_step_takes_what_the_administrator_set);
        tcase_add_loop_test(tcase, what_a_package_set_is_changed_and_given_back, 0, ELEMENTSOF(files));
        tcase_add_loop_test(tcase, what_a_package_sets_now_is_put_back_at_the_end, 0, ELEMENTSOF(files));
        tcase_add_loop_test(tcase, what_a_package_sets_now_was_put_back_before, 0, 2);
        tcase_add_test(tcase, an_unknown_file_is_no_other_file);
        tcase_add_test(tcase, an_original_out_of_bounds_is_put_back);
        tcase_add_test(tcase, who_yields_to_nobody);
        tcase_add_test(tcase, who_yields_to_all_that_is_not_the_default);
        tcase_add_test(tcase, an_unknown_default_is_no_reason);
        tcase_add_test(tcase, observing_yields_as_well);
}

int main(void)
{
        return run_suite("yield", add);
}
