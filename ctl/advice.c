/* SPDX-License-Identifier: MIT */
#include "ctl/client.h"
#include "ctl/now.h"

int command_advice(const struct options *o)
{
        return show_part(o, "advice", print_all_advice);
}
