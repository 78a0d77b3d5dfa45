/* Fuzz target: what sources of AWS credentials say. What is taken is whole, fits, and can be put into a header; a refusal says
 * why in one plain line, without a secret. */
#include "fuzz.h"

#include "common/queue/credential_text.h"

static void check_text(const char *text, size_t size) {
    HOLDS(strnlen(text, size) < size);
    for (; *text; text++)
        HOLDS(*text > ' ' && *text <= '~');
}

static void check(bool good, const struct credential *c, const char *why) {
    check_text(c->key, sizeof c->key);
    check_text(c->secret, sizeof c->secret);
    check_text(c->token, sizeof c->token);
    if (good) {
        HOLDS(*c->key && *c->secret);
        return;
    }
    HOLDS(*why && strnlen(why, CREDENTIAL_WHY_SIZE) < CREDENTIAL_WHY_SIZE);
    for (; *why; why++)
        HOLDS((*why >= ' ' && *why <= '~') || (unsigned char)*why >= 0x80);
}

/* An escaped text has nothing that ends a parameter, and is as long as its characters make it. */
static void check_escape(const char *text) {
    struct buf b = {0};
    size_t expected = 0;
    credential_escape(&b, text);
    for (; *text; text++)
        expected += strchr("-._~", *text) || (*text >= '0' && *text <= '9') ||
                            (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')
                        ? 1
                        : 3;
    HOLDS(b.len == expected && (!b.data || !memchr(b.data, '&', b.len)));
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = text_of(data, size), why[CREDENTIAL_WHY_SIZE] = "";
    struct credential c;
    int64_t ms;
    check(credential_from_json(text, strlen(text), &c, why), &c, why);
    memset(why, 0, sizeof why);
    check(credential_from_xml(text, &c, why), &c, why);
    memset(why, 0, sizeof why);
    check(credential_from_profile(text, "shop", &c, why), &c, why);
    if (credential_time(text, &ms))
        HOLDS(strlen(text) >= strlen("2026-01-31T08:15:30Z"));
    (void)credentials_url_is_safe(text);
    check_escape(text);
    free(text);
    return 0;
}
