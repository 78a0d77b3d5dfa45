/* The SQL of erasing the customers of shipments. */
#include "customer_store.h"

/* Locks in the order of the ids, as everybody who changes shipments, so that batches cannot deadlock. The trail of a
 * shipment and its events have never named the customer. */
static const struct db_query erase_query = {
    "customer_erase", "WITH input AS ("
                      "  SELECT DISTINCT ON (order_id) order_id, replacement"
                      "    FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS e(order_id, replacement, n)"
                      "   ORDER BY order_id, n DESC"
                      "), locked AS ("
                      "  SELECT s.id, input.replacement"
                      "    FROM shipments s JOIN input ON input.order_id = s.order_id"
                      "   ORDER BY s.id"
                      "     FOR NO KEY UPDATE OF s"
                      ")"
                      " UPDATE shipments s"
                      "    SET customer_id = locked.replacement"
                      "   FROM locked"
                      "  WHERE s.id = locked.id AND s.customer_id <> locked.replacement"};

enum db_status customer_store_erase(struct db *db, const struct customer_erasure erasures[], size_t n) {
    struct db_params p = {0};
    int order = db_array(&p, DB_UUID), replacement = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, order, &erasures[i].order_id);
        db_add_text(&p, replacement, erasures[i].replacement);
    }
    enum db_status status = db_run(db, &erase_query, &p, NULL);
    db_params_free(&p);
    return status;
}
