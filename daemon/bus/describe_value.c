/* SPDX-License-Identifier: MIT */
#include "daemon/bus/describe.h"

#include <math.h>

void describe_seconds(struct json *j, const char *key, uint64_t ns)
{
        json_add_number(j, key, ns == UINT64_MAX ? (double)INFINITY : (double)ns / 1e9);
}

void describe_text(struct json *j, const char *key, const char *text)
{
        json_add_text(j, key, text[0] ? text : NULL);
}

void describe_reading(struct json *j, const struct reading *r)
{
        json_add_text(j, "state", reading_state_names[r->state]);
        if (r->state == READING_VALID || r->state == READING_BOUNDED)
                json_add_number(j, "value", r->value);
        if (r->state == READING_BOUNDED)
                json_add_number(j, "upper", r->upper);
}
