/* Which receivers the settings allow. */
#pragma once

#include "common/callout/callout.h"
#include "common/config/config.h"
#include "common/http/address.h"

/* The policy borrows allowed, which receives WEBHOOK_ALLOW_NETWORKS. */
static inline struct callout_policy webhook_policy(const struct config *config,
                                                   struct address_list *allowed) {
    (void)!address_list_parse(config->webhook_allow_networks, allowed); /* was checked at the start */
    return (struct callout_policy){.https_only = config->app_env == ENV_PRODUCTION, .allowed = allowed};
}
