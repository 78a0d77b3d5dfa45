/* What sources of credentials say, good and hostile, and which source is used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/queue/credential_source.h"
#include "common/queue/credential_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOWHERE                                                                                              \
    .region = "us-east-1", .role_arn = "", .token_file = "", .session_name = "", .sts_endpoint = "",         \
    .shared_file = "", .profile = "", .container_url = "", .container_path = "", .metadata_endpoint = ""

#define TIME_MS 1769847330000 /* of the text below */
#define KEYS "\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"s/+=\""

static char why[CREDENTIAL_WHY_SIZE];
static struct credential got;

static void assert_got(const char *key, const char *secret, const char *token, int64_t expires_ms) {
    assert_string_equal(got.key, key);
    assert_string_equal(got.secret, secret);
    assert_string_equal(got.token, token);
    assert_true(got.expires_ms == expires_ms);
}

static bool json(const char *text) {
    memset(why, 0, sizeof why);
    return credential_from_json(text, strlen(text), &got, why);
}

static void json_of_an_endpoint_is_read(void **state) {
    (void)state;
    assert_true(
        json("{" KEYS ",\"Token\":\"t\",\"Expiration\":\"2026-01-31T08:15:30Z\",\"Code\":\"Success\"}"));
    assert_got("AKIA", "s/+=", "t", TIME_MS);
    assert_true(json("{" KEYS "}"));
    assert_got("AKIA", "s/+=", "", 0);
}

static void json_that_is_no_use_is_refused(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"", "no JSON"},
        {"[]", "no JSON"},
        {"{\"Code\":\"AssumeRoleUnauthorizedAccess\\u001b\"}", "says AssumeRoleUnauthorizedAccess?"},
        {"{\"Code\":\"Success\"}", "access key ID"},
        {"{\"AccessKeyId\":\"A\"}", "secret access key"},
        {"{\"AccessKeyId\":\"A\\r\\nX: y\",\"SecretAccessKey\":\"s\"}", "access key ID"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":7}", "secret access key"},
        {"{" KEYS ",\"Token\":\"a b\"}", "session token"},
        {"{" KEYS ",\"Expiration\":\"tomorrow\"}", "time of expiry"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_false(json(texts[i][0]));
        assert_non_null(strstr(why, texts[i][1]));
    }
    char longer[400];
    snprintf(longer, sizeof longer, "{\"AccessKeyId\":\"%0*d\",\"SecretAccessKey\":\"s\"}",
             CREDENTIAL_KEY_SIZE, 0);
    assert_false(json(longer));
}

static void xml_of_sts_is_read(void **state) {
    (void)state;
    static const char good[] =
        "<R><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>t/+==</SessionToken><Expiration>2026-01-31T08:15:30.123Z</Expiration>"
        "</Credentials></R>";
    assert_true(credential_from_xml(good, &got, why));
    assert_got("ASIA", "s", "t/+==", TIME_MS);
    assert_false(credential_from_xml("<E><Code>AccessDenied</Code><Message>no</Message></E>", &got, why));
    assert_string_equal(why, "the answer says AccessDenied");
    assert_false(credential_from_xml("", &got, why));
    assert_false(credential_from_xml("<AccessKeyId>", &got, why));
    assert_false(
        credential_from_xml("<AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>", &got, why));
    assert_non_null(strstr(why, "time of expiry"));
}

static void profiles_are_read(void **state) {
    (void)state;
    static const char file[] =
        "# comment\r\n[default]\naws_access_key_id=A1\naws_secret_access_key = S1\n\n"
        "[ other ]\n[shop]\r\n  aws_access_key_id\t= A2  \r\naws_secret_access_key=S2\r\n"
        "aws_session_token = T2\nregion = x\n[shop2]\naws_access_key_id=A3";
    assert_true(credential_from_profile(file, "default", &got, why));
    assert_got("A1", "S1", "", 0);
    assert_true(credential_from_profile(file, "shop", &got, why));
    assert_got("A2", "S2", "T2", 0);
    assert_false(credential_from_profile(file, "shop2", &got, why));
    assert_non_null(strstr(why, "secret access key"));
    assert_false(credential_from_profile(file, "sho", &got, why));
    assert_string_equal(why, "the file has no profile sho");
    assert_false(credential_from_profile("", "default", &got, why));
}

static void times_are_read(void **state) {
    (void)state;
    int64_t ms = 0;
    assert_true(credential_time("2026-01-31T08:15:30Z", &ms));
    assert_true(ms == TIME_MS);
    assert_true(credential_time("2026-01-31T08:15:30.123456789Z", &ms));
    static const char *const bad[] = {"",
                                      "Z",
                                      "2026-01-31",
                                      "2026-01-31T08:15:30",
                                      "2026-01-31T08:15:30+01:00",
                                      "2026-13-31T08:15:30Z",
                                      "2026-01-31T08:15:30.1xZ",
                                      "2026-01-31T08:15:30ZZ"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(credential_time(bad[i], &ms));
}

static void texts_are_escaped(void **state) {
    (void)state;
    struct buf b = {0};
    credential_escape(&b, "arn:aws:iam::1/a b+c=&~\xc3\xbc");
    buf_char(&b, '\0');
    assert_string_equal(b.data, "arn%3Aaws%3Aiam%3A%3A1%2Fa%20b%2Bc%3D%26~%C3%BC");
    buf_free(&b);
}

static void credentials_are_fetched_before_they_expire(void **state) {
    (void)state;
    struct credential c = {.expires_ms = 3600000};
    assert_true(credential_refresh_ms(&c, 0) == 3300000);
    c.expires_ms = 60000;
    assert_true(credential_refresh_ms(&c, 0) == 30000);
    c.expires_ms = 1;
    assert_true(credential_refresh_ms(&c, 1000000) > 1000000);
    c.expires_ms = 0;
    assert_true(credential_refresh_ms(&c, 0) > 0);
}

static void tokens_stay_on_this_machine(void **state) {
    (void)state;
    static const char *const safe[] = {"https://example.com/x",      "http://127.0.0.1:80/x",
                                       "http://localhost/x",         "http://[::1]:8080/",
                                       "http://169.254.170.2/",      "http://169.254.170.23/v1",
                                       "http://[fd00:ec2::23]/v1/c", "http://127.9.9.9"};
    static const char *const unsafe[] = {"",
                                         "https://",
                                         "http://example.com/",
                                         "http://127.0.0.1.example.com/",
                                         "http://localhost.example.com",
                                         "http://localhost@example.com/",
                                         "http://169.254.169.254/",
                                         "http://[fd00:ec2::23",
                                         "ftp://127.0.0.1/",
                                         "http://10.0.0.1"};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        assert_true(credentials_url_is_safe(safe[i]));
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        assert_false(credentials_url_is_safe(unsafe[i]));
}

static void the_first_source_that_is_configured_is_used(void **state) {
    (void)state;
    struct credential_options o = {NOWHERE};
    assert_string_equal(credential_source_of(&o)->name, "nowhere");
    o.metadata_endpoint = "http://m";
    assert_string_equal(credential_source_of(&o)->name, "the metadata of the machine");
    o.container_path = "/c";
    assert_string_equal(credential_source_of(&o)->name, "the endpoint of the container");
    o.profile = "p";
    assert_string_equal(credential_source_of(&o)->name, "the shared file");
    o.role_arn = "r";
    assert_string_equal(credential_source_of(&o)->name, "the shared file");
    o.token_file = "f";
    assert_string_equal(credential_source_of(&o)->name, "a web identity");
    o.key.text = "k";
    assert_string_equal(credential_source_of(&o)->name, "the settings");
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void the_shared_file_is_read_in_each_call(void **state) {
    (void)state;
    char path[] = "/tmp/test_credentials.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct credential_options options = {NOWHERE};
    options.shared_file = path;
    struct credential_chain *chain = credentials_open(&options);
    assert_non_null(chain);
    write_file(path, "[default]\naws_access_key_id=A1\naws_secret_access_key=S1\n");
    assert_true(credentials_now(chain, &got, why));
    assert_got("A1", "S1", "", 0);
    write_file(path, "[default]\naws_access_key_id=A2\naws_secret_access_key=S2\n");
    assert_true(credentials_now(chain, &got, why));
    assert_got("A2", "S2", "", 0);
    write_file(path, "");
    assert_false(credentials_now(chain, &got, why));
    unlink(path);
    assert_false(credentials_now(chain, &got, why));
    assert_non_null(strstr(why, "No such file"));
    credentials_close(chain);
    credentials_close(NULL);
}

static void settings_and_nothing_need_no_network(void **state) {
    (void)state;
    struct credential_options options = {NOWHERE};
    struct credential_chain *chain = credentials_open(&options);
    assert_true(credentials_now(chain, &got, why));
    assert_got("", "", "", 0);
    credentials_close(chain);
    options.key.text = "k";
    options.secret.text = "s";
    chain = credentials_open(&options);
    assert_string_equal(credentials_source(chain), "the settings");
    assert_true(credentials_now(chain, &got, why));
    assert_got("k", "s", "", 0);
    credentials_close(chain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_of_an_endpoint_is_read),
        cmocka_unit_test(json_that_is_no_use_is_refused),
        cmocka_unit_test(xml_of_sts_is_read),
        cmocka_unit_test(profiles_are_read),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(credentials_are_fetched_before_they_expire),
        cmocka_unit_test(tokens_stay_on_this_machine),
        cmocka_unit_test(the_first_source_that_is_configured_is_used),
        cmocka_unit_test(the_shared_file_is_read_in_each_call),
        cmocka_unit_test(settings_and_nothing_need_no_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
