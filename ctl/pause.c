/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "ctl/client.h"
#include "ctl/terminal.h"

int command_pause(const struct options *o)
{
        _cleanup_(client_close) struct client client = {0};
        uint64_t ns = 0; /* Pause() takes microseconds; UINT64_MAX: no end */
        int status = o->argument ? parse_duration(o->argument, &ns) : 0;

        if (status == 0)
                status = client_open(&client, o->instance);
        if (status == 0)
                status = client_call(&client, "Pause", "t", o->argument ? MAX(ns / 1000, 1u) : UINT64_MAX);
        if (status == 0)
                printf("twtuned is paused %s%s: it writes no sysctl, and what is changed stays\n",
                       o->argument ? "for " : "until \"twtunectl resume\"", o->argument ? o->argument : "");
        return status;
}

int command_resume(const struct options *o)
{
        int status = call_once(o->instance, "Resume", NULL);

        if (status == 0)
                puts("the pause is over");
        return status;
}
