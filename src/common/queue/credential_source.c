/* Asking the sources of credentials: files, the security token service, containers' endpoints, machines' metadata. */
#include "credential_source.h"

#include "credential_text.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_MS = 2000, /* for an endpoint on this machine or beside it */
    STS_MS = 5000,
    MAX_ANSWER = 65536,
    MAX_FILE = 262144, /* of profiles */
};

#define CONTAINER_HOST "http://169.254.170.2"

struct request {
    const char *method, *url, *body; /* body NULL: none */
    struct buf headers[2];           /* of those that are not empty */
    long limit_ms;
};

static size_t take_text(char *data, size_t size, size_t n, void *cls) {
    struct buf *answer = cls;
    if (answer->len + n > MAX_ANSWER)
        return 0;
    buf_append(answer, data, size * n); /* size is always 1 */
    return answer->failed ? 0 : n;
}

static bool prepare(CURL *easy, const struct request *r, struct curl_slist **headers, struct buf *answer,
                    char *fault) {
    unsigned bad = 0;
    for (size_t i = 0; i < 2; i++) {
        struct curl_slist *longer = *headers;
        if (r->headers[i].len)
            longer = curl_slist_append(*headers, r->headers[i].data);
        bad |= r->headers[i].failed || (r->headers[i].len && !longer);
        *headers = longer ? longer : *headers;
    }
    bad |= curl_easy_setopt(easy, CURLOPT_URL, r->url);
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "order-processing/" SERVICE_VERSION);
    bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, r->limit_ms);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_text);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fault);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
    if (r->body)
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body);
    bad |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
    return bad == 0;
}

/* Makes one call, and frees its headers. The answer ends with NUL. The status, or 0 with the reason in why. */
static long call(struct request *r, struct buf *answer, char *why) {
    char fault[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURL *easy = curl_easy_init();
    CURLcode result = CURLE_OUT_OF_MEMORY;
    long status = 0;
    if (easy && prepare(easy, r, &headers, answer, fault))
        result = curl_easy_perform(easy);
    buf_char(answer, '\0');
    if (result == CURLE_OK && answer->failed)
        result = CURLE_OUT_OF_MEMORY;
    if (result == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    else
        snprintf(why, CREDENTIAL_WHY_SIZE, "%.100s: %.100s", r->url,
                 *fault ? fault : curl_easy_strerror(result));
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    for (size_t i = 0; i < 2; i++)
        buf_free(&r->headers[i]);
    return status;
}

/* Wipes what held a secret. */
static void forget(struct buf *b) {
    if (b->data)
        explicit_bzero(b->data, b->len);
    buf_free(b);
}

static bool from_settings(const struct credential_options *o, struct credential *out, char *why) {
    char text[SECRET_SIZE];
    (void)why;
    *out = (struct credential){0};
    snprintf(out->key, sizeof out->key, "%s", secret_now(&o->key, text));
    snprintf(out->secret, sizeof out->secret, "%s", secret_now(&o->secret, text));
    snprintf(out->token, sizeof out->token, "%s", secret_now(&o->token, text));
    explicit_bzero(text, sizeof text);
    return true;
}

static bool from_nowhere(const struct credential_options *o, struct credential *out, char *why) {
    (void)o;
    (void)why;
    *out = (struct credential){0};
    return true;
}

static void sts_url(const struct credential_options *o, struct buf *url) {
    if (*o->sts_endpoint)
        buf_printf(url, "%s/", o->sts_endpoint);
    else
        buf_printf(url, "https://sts.%s.amazonaws.com%s/", o->region,
                   strncmp(o->region, "cn-", 3) == 0 ? ".cn" : "");
}

/* The platform replaces the token in its file before it expires, so it is read each time. */
static bool from_web_identity(const struct credential_options *o, struct credential *out, char *why) {
    char token[SECRET_SIZE];
    const char *fault = secret_read(o->token_file, token);
    if (fault) {
        snprintf(why, CREDENTIAL_WHY_SIZE, "cannot read AWS_WEB_IDENTITY_TOKEN_FILE: %s", fault);
        return false;
    }
    struct buf url = {0}, body = {0}, answer = {0};
    sts_url(o, &url);
    buf_str(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    credential_escape(&body, o->role_arn);
    buf_str(&body, "&RoleSessionName=");
    credential_escape(&body, o->session_name);
    buf_str(&body, "&WebIdentityToken=");
    credential_escape(&body, token);
    explicit_bzero(token, sizeof token);
    struct request r = {.method = "POST", .url = url.data, .body = body.data, .limit_ms = STS_MS};
    bool ready = !url.failed && !body.failed;
    if (!ready)
        snprintf(why, CREDENTIAL_WHY_SIZE, "out of memory");
    bool good = ready && call(&r, &answer, why) && credential_from_xml(answer.data, out, why);
    buf_free(&url);
    forget(&body);
    forget(&answer);
    return good;
}

/* The file of the profiles; NULL with errno. */
static FILE *open_profiles(const struct credential_options *o) {
    const char *home = getenv("HOME");
    char path[1200];
    if (*o->shared_file)
        return fopen(o->shared_file, "re");
    snprintf(path, sizeof path, "%.1100s/.aws/credentials", home ? home : "");
    return fopen(path, "re");
}

static bool from_shared_file(const struct credential_options *o, struct credential *out, char *why) {
    FILE *file = open_profiles(o);
    char *text = file ? malloc(MAX_FILE + 1) : NULL;
    size_t len = text ? fread(text, 1, MAX_FILE + 1, file) : 0;
    bool good = false;
    if (!text || ferror(file) || len > MAX_FILE) {
        snprintf(why, CREDENTIAL_WHY_SIZE, "cannot read AWS_SHARED_CREDENTIALS_FILE: %s",
                 text && len > MAX_FILE ? "it is too large" : strerror(errno));
    } else {
        text[len] = '\0';
        good = credential_from_profile(text, *o->profile ? o->profile : "default", out, why);
    }
    if (text)
        explicit_bzero(text, len);
    free(text);
    if (file)
        fclose(file);
    return good;
}

/* Reads the answer of a call that succeeded with 200. */
static bool read_endpoint_answer(long status, const struct buf *answer, struct credential *out, char *why) {
    if (status != 0 && status != 200)
        snprintf(why, CREDENTIAL_WHY_SIZE, "the endpoint answered with %ld", status);
    return status == 200 && credential_from_json(answer->data, answer->len - 1, out, why);
}

static bool from_container(const struct credential_options *o, struct credential *out, char *why) {
    char text[SECRET_SIZE];
    const char *token = secret_now(&o->container_token, text);
    struct buf url = {0}, answer = {0};
    buf_printf(&url, "%s%s", *o->container_path ? CONTAINER_HOST : "",
               *o->container_path ? o->container_path : o->container_url);
    struct request r = {.method = "GET", .url = url.data, .limit_ms = LOCAL_MS};
    if (strpbrk(token, "\r\n")) {
        snprintf(why, CREDENTIAL_WHY_SIZE, "AWS_CONTAINER_AUTHORIZATION_TOKEN has several lines");
        buf_free(&url);
        return false;
    }
    if (*token)
        buf_printf(&r.headers[0], "Authorization: %s", token);
    explicit_bzero(text, sizeof text);
    bool good = read_endpoint_answer(url.failed ? 0 : call(&r, &answer, why), &answer, out, why);
    buf_free(&url);
    forget(&answer);
    return good;
}

/* One call to the metadata, version 2: with a token of a session, or to get one. */
static long ask_metadata(const struct credential_options *o, const char *method, const char *path,
                         const char *token, struct buf *answer, char *why) {
    struct buf url = {0};
    buf_printf(&url, "%s%s", o->metadata_endpoint, path);
    struct request r = {.method = method, .url = url.data, .limit_ms = LOCAL_MS, .body = token ? NULL : ""};
    if (token)
        buf_printf(&r.headers[0], "X-aws-ec2-metadata-token: %s", token);
    else
        buf_str(&r.headers[0], "X-aws-ec2-metadata-token-ttl-seconds: 300");
    buf_clear(answer);
    long status = url.failed ? 0 : call(&r, answer, why);
    if (status != 0 && status != 200)
        snprintf(why, CREDENTIAL_WHY_SIZE, "%s was answered with %ld", path, status);
    buf_free(&url);
    return status;
}

/* Whether an answer is one plain line, which may become part of a header or of a path. */
static bool is_word(const struct buf *answer) {
    return answer->len > 1 && answer->len < 1024 && strlen(answer->data) == answer->len - 1 &&
           !strpbrk(answer->data, " \t\r\n");
}

static bool from_metadata(const struct credential_options *o, struct credential *out, char *why) {
    static const char roles[] = "/latest/meta-data/iam/security-credentials/";
    struct buf token = {0}, answer = {0}, path = {0};
    bool good = ask_metadata(o, "PUT", "/latest/api/token", NULL, &token, why) == 200;
    if (good && !is_word(&token)) {
        snprintf(why, CREDENTIAL_WHY_SIZE, "the metadata gave no token");
        good = false;
    }
    good = good && ask_metadata(o, "GET", roles, token.data, &answer, why) == 200;
    if (good && !is_word(&answer)) {
        snprintf(why, CREDENTIAL_WHY_SIZE, "the machine has no role");
        good = false;
    }
    if (good) {
        buf_printf(&path, "%s%s", roles, answer.data);
        good =
            !path.failed && read_endpoint_answer(ask_metadata(o, "GET", path.data, token.data, &answer, why),
                                                 &answer, out, why);
    }
    forget(&token);
    forget(&answer);
    buf_free(&path);
    return good;
}

const struct credential_source *credential_source_of(const struct credential_options *o) {
    static const struct credential_source sources[] = {
        {"the settings", false, from_settings},
        {"a web identity", true, from_web_identity},
        {"the shared file", false, from_shared_file},
        {"the endpoint of the container", true, from_container},
        {"the metadata of the machine", true, from_metadata},
        {"nowhere", false, from_nowhere},
    };
    const bool configured[] = {
        o->key.text && *o->key.text,    *o->role_arn && *o->token_file,
        *o->shared_file || *o->profile, *o->container_url || *o->container_path,
        *o->metadata_endpoint,          true,
    };
    size_t i = 0;
    while (!configured[i])
        i++;
    return &sources[i];
}
