/* SPDX-License-Identifier: MIT */
#include "lib/audit/record.h"

#include <syslog.h>

const struct audit_kind_row audit_kinds[AUDIT_KIND_COUNT] = {
        [AUDIT_APPLIED] = {"applied", LOG_NOTICE, "d84c9e582b45468a8cf93f4d7595cf06"},
        [AUDIT_RELEASED] = {"released", LOG_NOTICE, "1f8f77a4667043ebb832e3129970f34a"},
        [AUDIT_REFUSED] = {"refused", LOG_WARNING, "6a7f02e5005a436292bdffffc4783b94"},
        [AUDIT_FAILED] = {"failed", LOG_ERR, "b162d3f6fe0d43a3ae1a8a2461b57762"},
        [AUDIT_OVERRIDDEN] = {"overridden", LOG_WARNING, "bdeea48a54a3479d9f776fded41b5aca"},
        [AUDIT_UNEXPECTED_EFFECT] = {"unexpected-effect", LOG_WARNING, "d77ff43321f74bbca578b7c746452cb1"},
        [AUDIT_ABORTED] = {"aborted", LOG_WARNING, "5ea39eca3a284295b87e70509bb29efa"},
        [AUDIT_ADVICE] = {"advice", LOG_WARNING, "3f0f2b8dd0a94a5c8a2b1e7a46b0c9d1"},
        [AUDIT_HARMFUL] = {"harmful", LOG_WARNING, "af7dc5ddf29a4ec4a444ad5250532f0c"},
        [AUDIT_DEGRADED] = {"degraded", LOG_WARNING, "c7710a994d9143d48a63ac8fe9ca9a8f"},
        [AUDIT_RECOVERED] = {"recovered", LOG_NOTICE, "0d6db10567a64e36b5e71b69b7fb42d3"},
        [AUDIT_CONFIG_LOADED] = {"config-loaded", LOG_INFO, "629e815ed4d24148a05296a8b62b80fa"},
        [AUDIT_CONFIG_REJECTED] = {"config-rejected", LOG_ERR, "71e81a67c1dc462ebf63a6fcada03364"},
        [AUDIT_PAUSED] = {"paused", LOG_NOTICE, "d618ba4788e645e089da76d073ec38da"},
        [AUDIT_RESUMED] = {"resumed", LOG_NOTICE, "8cac05b7a9b1428eb2cf5cb885330ee2"},
        [AUDIT_RELEASED_BY_REQUEST] = {"released-by-request", LOG_NOTICE, "32f25a7a40504afe8f83a4ae8693f97a"},
        [AUDIT_REARMED] = {"rearmed", LOG_NOTICE, "d680114d4b9c4b658ef7cc41ed5df5b0"},
        [AUDIT_LEFT_CHANGED] = {"left-changed", LOG_WARNING, "303eb8f961f8431c89a40450b30eb645"},
        [AUDIT_EXPECTED_EFFECT] = {"expected-effect", LOG_NOTICE, "b56fe3a9d5054036a11dcb8cb02d5c49"},
};
