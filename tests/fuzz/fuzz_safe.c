/* SPDX-License-Identifier: MIT */
/* Names of cgroups, units and network namespaces, arguments of the bus, and the text that leaves for a terminal. */

#include <stdlib.h>

#include "daemon/observe/cgroup.h"
#include "lib/audit/text.h"
#include "lib/kernel/sysctl.h"
#include "lib/util/safe.h"
#include "lib/util/utf8.h"
#include "text.h"

static void check_name(const char *name)
{
        for (; *name; name++)
                assert((*name >= '-' && *name <= ':') || (*name >= '@' && *name <= 'Z') || *name == '\\' ||
                       *name == '_' || (*name >= 'a' && *name <= 'z'));
}

/* One line of whole characters, and no control character. */
static void check_text(const char *text)
{
        while (*text) {
                unsigned code;
                size_t n = utf8_take(text, &code);

                assert(n > 0);
                assert((code >= 0x20 || code == '\t') && (code < 0x7f || code >= 0xa0));
                assert((code < 0x2028 || code > 0x202e) && (code < 0x2066 || code > 0x2069));
                text += n;
        }
}

static void check_log(const char *text)
{
        static struct audit_text audit;
        char *printed = NULL;
        size_t size;
        FILE *f = open_memstream(&printed, &size);

        audit = (struct audit_text){.kind = AUDIT_ADVICE};
        audit_text_add(&audit, "MESSAGE", "by %s", text);
        audit_text_add(&audit, "CULPRIT", "%s", text);
        audit_text_print(&audit, f);
        fclose(f);
        assert(printed[size - 1] == '\n');
        printed[size - 1] = 0;
        check_text(printed);
        free(printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1), *safe = malloc(4 * size + 1), *again = malloc(4 * size + 1);
        char unit[CGROUP_UNIT_MAX], cut[16];

        memcpy(text, data, size);
        text[size] = 0;
        cgroup_unit_of_path(text, unit);
        check_name(unit);
        check_name(safe_name(text, safe, 4 * size + 1));
        check_text(safe_text(text, safe, 4 * size + 1));
        assert(strcmp(safe_text(safe, again, 4 * size + 1), safe) == 0);
        check_text(safe_text(text, cut, sizeof(cut)));
        assert(strcmp(cut, safe) == 0 || strncmp(cut, safe, strlen(cut) - 3) == 0);
        check_log(text);
        assert(sysctl_find(text) <= SYSCTL_COUNT);
        free(text);
        free(safe);
        free(again);
        return 0;
}
