/* Serving the page from the table of its files. */
#include "page.h"

#include "app.h"
#include "common/config/config.h"
#include "common/http/etag.h"
#include "common/http/server.h"
#include "page_files.h"

#include <string.h>

#define INDEX "index.html"

/* Scripts and styles are files of ours, and requests go to us. Text never becomes markup or script. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

static bool has_page(const struct http_request *request) {
    const struct config *config = ((const struct order_app *)request->app)->service.config;
    return config->web_ui == WEB_UI_ON ||
           (config->web_ui == WEB_UI_AUTO && config->app_env == ENV_DEVELOPMENT);
}

/* A browser asks each time whether its copy is the current one. So an upgrade shows at once. */
static void reply_file(struct http_request *request, const struct page_file *file) {
    if (etag_matches(http_header(request, "If-None-Match"), file->tag)) {
        http_reply_empty(request, 304);
    } else {
        struct buf body = {0};
        buf_str(&body, file->text);
        http_reply_as(request, 200, file->type, &body);
    }
    http_reply_header(request, "ETag", "%s", file->tag);
    http_reply_header(request, "Cache-Control", "no-cache");
    http_reply_header(request, "Content-Security-Policy", "%s", policy);
}

static void page_answer(struct http_request *request, const char *name) {
    const struct page_file *file = page_files;
    while (file->name && strcmp(file->name, name) != 0)
        file++;
    if (file->name && has_page(request))
        reply_file(request, file);
    else
        http_reply_problem(request, PROBLEM_NOT_FOUND, "No such path");
}

void page_index_prepare(struct http_request *request) {
    page_answer(request, INDEX);
}

void page_file_prepare(struct http_request *request) {
    const char *name = request->params[0];
    page_answer(request, strcmp(name, INDEX) == 0 ? "" : name); /* that is at / only */
}
