/* SPDX-License-Identifier: MIT */
/* The catalog as a file. That every event has the fields which its text names is asserted wherever the tests of the
 * tick and the simulation see one (catalog_lacks()). */

#include "catalog.h"

#include "run.h"

static void text_begin(struct audit_text *text, enum audit_kind kind)
{
        text->kind = kind;
        text->n = text->used = 0;
        audit_text_add(text, "MESSAGE", "%s", "text");
}

/* catalog-verify of systemd finds an entry for each kind, and no other. */
START_TEST(an_entry_for_each_kind)
{
        unsigned entries = 0;

        for (const char *at = catalog_read(); (at = strstr(at, "\n-- ")); at++)
                entries++;
        ck_assert_uint_eq(entries, AUDIT_KIND_COUNT);
        for (unsigned kind = 0; kind < AUDIT_KIND_COUNT; kind++) {
                static struct audit_text event;

                text_begin(&event, (enum audit_kind)kind);
                ck_assert_msg(catalog_entry(&event), "no entry for %s", audit_kinds[kind].name);
        }
}
END_TEST

/* The headers that journalctl shows, and lines that fit beside its margin. */
START_TEST(entries_are_well_formed)
{
        static const char *const headers[] = {"Subject: ", "Defined-By: twtuned\n", "Documentation: man:"};

        for (unsigned kind = 0; kind < AUDIT_KIND_COUNT; kind++) {
                const char *name = audit_kinds[kind].name, *line;
                static struct audit_text event;

                text_begin(&event, (enum audit_kind)kind);
                line = strchr(catalog_entry(&event), '\n') + 1;
                for (unsigned i = 0; i < ELEMENTSOF(headers); i++, line = strchr(line, '\n') + 1)
                        ck_assert_msg(strncmp(line, headers[i], strlen(headers[i])) == 0, "%s: no %s", name,
                                      headers[i]);
                ck_assert_msg(*line == '\n', "%s: no empty line behind the headers", name);
        }
        for (const char *line = strchr(catalog_read(), '\n'); line && line[1]; line = strchr(line + 1, '\n'))
                ck_assert_msg(line[1] == '#' || strcspn(line + 1, "\n") <= 83, "too long: %.80s...", line + 1);
}
END_TEST

/* An event of this kind may be one of observe mode, which changed nothing: its result says which. */
START_TEST(the_subject_of_a_change_says_its_result)
{
        static struct audit_text event;
        const char *subject;

        text_begin(&event, AUDIT_APPLIED);
        subject = strstr(catalog_entry(&event), "Subject: ");
        ck_assert_ptr_nonnull(strstr(subject, "(@RESULT@)"));
        ck_assert(strstr(subject, "(@RESULT@)") < strchr(subject, '\n'));
}
END_TEST

START_TEST(a_field_that_is_missing_is_seen)
{
        static struct audit_text event;

        text_begin(&event, AUDIT_HARMFUL);
        ck_assert_str_eq(catalog_lacks(&event), "FILE");
        audit_text_add(&event, "FILE", "%s", "f");
        audit_text_add(&event, "LINE", "%u", 1U);
        ck_assert_str_eq(catalog_lacks(&event), "SYSCTL");
        audit_text_add(&event, "SYSCTL", "%s", "s");
        ck_assert_ptr_null(catalog_lacks(&event));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, an_entry_for_each_kind);
        tcase_add_test(tcase, entries_are_well_formed);
        tcase_add_test(tcase, the_subject_of_a_change_says_its_result);
        tcase_add_test(tcase, a_field_that_is_missing_is_seen);
}

int main(void)
{
        return run_suite("catalog", add);
}
