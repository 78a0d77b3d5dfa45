/* The certificate of the HTTP server, which may be replaced while it runs. */
#pragma once

#include <gnutls/abstract.h>

struct http_tls;

/* Loads a server's certificate and key, and loads them again when the files change (within seconds). Open
 * connections keep the old certificate, new ones get the new one. Files that cannot be loaded are logged. At the
 * start that is a failure (NULL), later the old certificate stays. The names are borrowed. */
struct http_tls *http_tls_open(const char *cert_file, const char *key_file);
void http_tls_reload(struct http_tls *tls); /* does so soon, also when they look as before. Any thread */
void http_tls_close(struct http_tls *tls);  /* call it after the last connection; NULL is fine */

/* Called when a connection begins, and when it ends (NULL is fine). Any thread. */
struct http_certificate *http_tls_begin(struct http_tls *tls, gnutls_session_t session);
void http_tls_end(struct http_certificate *certificate);

/* Only TLS 1.2 and 1.3 with forward secrecy and authenticated encryption. */
extern const char http_tls_priorities[];
/* The certificate callback for libmicrohttpd's own credentials. It has none to give, because each connection gets
 * ours when it begins. */
gnutls_certificate_retrieve_function2 http_tls_no_certificate;
