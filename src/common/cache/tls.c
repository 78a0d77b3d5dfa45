/* TLS to Redis, if hiredis was built with it. */
#include "private.h"

#ifdef HIREDIS_TLS

#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>

bool cache_has_tls(void) {
    return true;
}

/* The name or address that the server's certificate must match. hiredis itself accepts any certificate that the CA
 * signed. */
static bool expect_host(SSL *ssl, const char *host) {
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *make_session(const struct cache_options *options) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool good = context && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                (*options->ca_file ? SSL_CTX_load_verify_locations(context, options->ca_file, NULL)
                                   : SSL_CTX_set_default_verify_paths(context)) == 1;
    SSL *ssl = good ? SSL_new(context) : NULL;
    SSL_CTX_free(context); /* the session holds a reference */
    if (ssl && expect_host(ssl, options->host))
        return ssl;
    SSL_free(ssl);
    return NULL;
}

const char *cache_tls_start(redisContext *redis, const struct cache_options *options) {
    SSL *ssl = make_session(options);
    if (!ssl)
        return "cannot set up TLS; is the file of CA certificates readable?";
    if (redisInitiateSSL(redis, ssl) == REDIS_OK)
        return NULL;
    SSL_free(ssl);
    return redis->errstr;
}

#else

bool cache_has_tls(void) {
    return false;
}

const char *cache_tls_start(redisContext *redis, const struct cache_options *options) {
    (void)redis, (void)options;
    return "hiredis was built without TLS";
}

#endif
