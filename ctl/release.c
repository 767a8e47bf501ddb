/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "ctl/client.h"
#include "ctl/description.h"

int command_release(const struct options *o)
{
        int status = o->all ? call_once(o->instance, "ReleaseAll", NULL)
                            : call_once(o->instance, "Release", sysctl_full_name(o->argument));

        if (status == 0 && o->all)
                puts("all that twtuned held is put back; no rule changes it until: twtunectl rearm SYSCTL");
        else if (status == 0)
                printf("twtuned leaves %s alone until: twtunectl rearm %s\n", o->argument, o->argument);
        return status;
}

int command_rearm(const struct options *o)
{
        int status = call_once(o->instance, "Rearm", sysctl_full_name(o->argument));

        if (status == 0)
                printf("rules may change %s again\n", o->argument);
        return status;
}
