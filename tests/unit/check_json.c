/* SPDX-License-Identifier: MIT */
/* JSON as it is written; tests/ctl has other programs read it. */

#include <math.h>
#include <string.h>

#include "lib/util/json.h"
#include "lib/util/macro.h"
#include "run.h"

static struct json json;

static void tear_down(void)
{
        json_free(&json);
}

START_TEST(values_nest_with_commas_between_them)
{
        json_open_object(&json, NULL);
        json_add_text(&json, "a", "b");
        json_add_text(&json, "none", NULL);
        json_open_array(&json, "list");
        json_add_number(&json, NULL, 1.5);
        json_add_bool(&json, NULL, true);
        json_open_object(&json, NULL);
        json_close_object(&json);
        json_open_array(&json, NULL);
        json_close_array(&json);
        json_close_array(&json);
        json_add_bool(&json, "last", false);
        json_close_object(&json);
        ck_assert_str_eq(json.text, "{\"a\":\"b\",\"none\":null,\"list\":[1.5,true,{},[]],\"last\":false}");
        ck_assert_uint_eq(json.n, strlen(json.text));
        ck_assert(!json.failed);
}
END_TEST

START_TEST(numbers_that_json_lacks_are_null)
{
        json_open_array(&json, NULL);
        json_add_number(&json, NULL, (double)INFINITY);
        json_add_number(&json, NULL, (double)NAN);
        json_add_number(&json, NULL, 18014398509481984.0);
        json_add_number(&json, NULL, -0.25);
        json_close_array(&json);
        ck_assert_str_eq(json.text, "[null,null,1.8014398509482e+16,-0.25]");
}
END_TEST

static const struct {
        const char *text, *json;
} texts[] = {
        {"", "\"\""},
        {"a \"b\" \\", "\"a \\u0022b\\u0022 \\u005c\""},
        {"\t\n\x7f", "\"\\u0009\\u000a\\u007f\""},
        {"\xc2\x9b"
         "31m",
         "\"\\u009b31m\""}, /* a terminal takes it for the beginning of a command */
        {"é € 😀", "\"é € 😀\""},
        {"\xc3", "\"\\ufffd\""},            /* cut short */
        {"\xe2\x82", "\"\\ufffd\\ufffd\""}, /* the same, of three */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""}, /* '/' in two bytes */
        {"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},                /* half of a surrogate pair */
        {"\xed\x9f\xbf\xee\x80\x80", "\"\xed\x9f\xbf\xee\x80\x80\""}, /* on both sides of those */
        {"\xf4\x8f\xbf\xbd", "\"\xf4\x8f\xbf\xbd\""},                 /* the last one */
        {"\xf4\x8f\xbf\xbf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},     /* noncharacters */
        {"\xef\xbf\xbe", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xef\xb7\x90\xef\xb7\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xef\xb7\x8f\xef\xb7\xb0\xef\xbf\xbd", "\"\xef\xb7\x8f\xef\xb7\xb0\xef\xbf\xbd\""}, /* beside those */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xff"
         "a",
         "\"\\ufffda\""},
};

START_TEST(whatever_bytes_there_are_it_is_utf8)
{
        json_add_text(&json, NULL, texts[_i].text);
        ck_assert_str_eq(json.text, texts[_i].json);
}
END_TEST

START_TEST(it_grows)
{
        json_open_array(&json, NULL);
        for (unsigned i = 0; i < 100000; i++)
                json_add_number(&json, NULL, 7);
        json_close_array(&json);
        ck_assert_uint_eq(json.n, 200001);
        ck_assert_int_eq(json.text[json.n], 0);
        ck_assert_int_eq(json.text[json.n - 1], ']');
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_test(tcase, values_nest_with_commas_between_them);
        tcase_add_test(tcase, numbers_that_json_lacks_are_null);
        tcase_add_loop_test(tcase, whatever_bytes_there_are_it_is_utf8, 0, ELEMENTSOF(texts));
        tcase_add_test(tcase, it_grows);
}

int main(void)
{
        return run_suite("json", add);
}
