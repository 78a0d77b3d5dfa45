/* The sources of credentials: which one is configured, and asking it. */
#pragma once

#include "common/queue/credentials.h"

struct credential_source {
    const char *name; /* for the log: "the settings" */
    bool keeps;       /* credentials are fetched over the network, and kept until they expire */
    /* Blocks for some seconds at most. False with the reason in why. */
    bool (*fetch)(const struct credential_options *options, struct credential *out, char *why);
};

/* The first source that is configured. The last one, without credentials, always is. */
const struct credential_source *credential_source_of(const struct credential_options *options);
