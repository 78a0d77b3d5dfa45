/* The credentials of AWS, from where its SDKs look for them: settings, a token of a web identity (EKS), the shared file, the
 * endpoint of a container (ECS, EKS Pod Identity), or the metadata of the machine (EC2). The first that is configured is used.
 *
 * One chain serves all queues of the process. Credentials that expire are fetched anew before they do. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/secret.h"

#include <stdbool.h>
#include <stdint.h>

#define CREDENTIAL_KEY_SIZE 129
#define CREDENTIAL_SECRET_SIZE 256
#define CREDENTIAL_WHY_SIZE 256

struct credential_chain;

struct credential { /* key "": requests are not signed */
    char key[CREDENTIAL_KEY_SIZE], secret[CREDENTIAL_SECRET_SIZE], token[SECRET_SIZE];
    int64_t expires_ms; /* since 1970; 0: never */
};

struct
    credential_options { /* strings are borrowed and must outlive the chain; "" where nothing is configured */
    struct secret_source key, secret, token;
    const char *region;
    const char *role_arn, *token_file, *session_name, *sts_endpoint; /* sts_endpoint "": that of the region */
    const char *shared_file, *profile; /* shared_file "" with a profile: ~/.aws/credentials */
    const char *container_url, *container_path;
    struct secret_source container_token;
    const char *metadata_endpoint;
};

/* NULL when out of memory. Does not fetch anything yet. */
struct credential_chain *credentials_open(const struct credential_options *options);
void credentials_close(struct credential_chain *chain); /* NULL is fine */

/* Where the credentials come from, for the log: "the settings". */
const char *credentials_source(const struct credential_chain *chain);

/* The credentials of this moment. May block for some seconds when they have to be fetched, and no others are valid. False
 * with the reason in why, without a secret, when there are none. An outage is logged once. Any thread. */
bool credentials_now(struct credential_chain *chain, struct credential *out,
                     char why[static CREDENTIAL_WHY_SIZE]) MUST_CHECK;

/* How far the clock of AWS is ahead of ours. 0 unless an answer has shown that ours is wrong by minutes. Any thread. */
int64_t credentials_skew_ms(const struct credential_chain *chain);

/* Whether a signed request was dated wrongly, as the Date of the answer that refused it shows. Then credentials_skew_ms is
 * corrected, and the request may be sent again, once. Any thread. */
bool credentials_are_misdated(struct credential_chain *chain, int64_t date_ms) MUST_CHECK;

/* Whether a token may be sent to this URL of a container's endpoint: it is https, or on this machine. */
bool credentials_url_is_safe(const char *url);
