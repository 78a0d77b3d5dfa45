package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	maxBody  = 64 << 10
	maxKey   = 255
	viewLife = time.Hour
)

func reply(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	out := appendText(append(make([]byte, 0, 512), `{"type":"about:blank","title":`...), http.StatusText(status))
	out = strconv.AppendInt(append(out, `,"status":`...), int64(status), 10)
	out = appendText(append(out, `,"detail":`...), detail)
	out = appendText(append(out, `,"error":`...), code)
	out = append(appendText(append(out, `,"message":`...), detail), '}')
	if status == http.StatusServiceUnavailable || code == "IDEMPOTENCY_CONFLICT" {
		w.Header().Set("Retry-After", "1")
	}
	reply(w, status, "application/problem+json", out)
}

func unavailable(w http.ResponseWriter, err error) {
	log.Print(err)
	problem(w, http.StatusServiceUnavailable, "UNAVAILABLE", "The database is not available")
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if s.store.ping(r.Context()) != nil || s.redis.Ping(r.Context()).Err() != nil {
		reply(w, http.StatusServiceUnavailable, "application/json", []byte(`{"status":"down"}`))
		return
	}
	reply(w, http.StatusOK, "application/json", []byte(`{"status":"up"}`))
}

// readKey returns "k:" and the Idempotency-Key, or "" when there is none; ok is false when it is bad.
func readKey(r *http.Request) (key string, ok bool) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", true
	}
	text := values[0]
	quoted := len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"'
	if quoted {
		text = text[1 : len(text)-1]
	}
	ok = len(values) == 1 && len(text) >= 1 && len(text) <= maxKey
	for i := 0; ok && i < len(text); i++ {
		ok = text[i] > ' ' && text[i] <= '~' && text[i] != '"' && !(quoted && text[i] == '\\')
	}
	return "k:" + text, ok
}

func (s *server) createOrder(w http.ResponseWriter, r *http.Request, client string) {
	contentType := r.Header.Get("Content-Type")
	if contentType != "application/json" {
		if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
			problem(w, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json")
			return
		}
	}
	key, ok := readKey(r)
	if !ok {
		problem(w, http.StatusBadRequest, "VALIDATION_ERROR", "Send one Idempotency-Key of 1 to 255 visible ASCII characters")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		problem(w, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "The body is larger than 64 KiB")
		return
	} else if err != nil {
		return // the client is gone
	}
	o, err := parseOrder(body, client)
	if err != nil {
		problem(w, http.StatusBadRequest, "VALIDATION_ERROR", err.Error())
		return
	}
	s.placeOrder(r.Context(), w, o, key)
}

// placeOrder answers with the new order, or with the one that its key stands for.
func (s *server) placeOrder(ctx context.Context, w http.ResponseWriter, o *order, key string) {
	fingerprint := o.fingerprint()
	if key == "" {
		key = "f:" + hex.EncodeToString(fingerprint[:])
	}
	o.ID, o.Created = newID()
	created, err := s.store.create(ctx, o, key, fingerprint[:])
	if err == nil && !created {
		var other []byte
		if other, err = s.store.taken(ctx, o, key); err == nil && !bytes.Equal(other, fingerprint[:]) {
			problem(w, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another order")
			return
		}
	}
	if keyIsBusy(err) || errors.Is(err, pgx.ErrNoRows) {
		problem(w, http.StatusConflict, "IDEMPOTENCY_CONFLICT", "A request with the same key is in progress")
		return
	} else if err != nil {
		unavailable(w, err)
		return
	}
	w.Header().Set("Location", "/orders/"+o.ID.String())
	if !created {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	reply(w, http.StatusCreated, "application/json", receipt(o.ID, o.Total, o.Created))
}

func viewKey(id uuid.UUID) string { return "peer:view:" + id.String() }

// view is what GET answers, and what Redis keeps behind the client and the tag.
func (o *stored) view() []byte {
	out := appendID(append(make([]byte, 0, 512), `{"id":`...), o.ID)
	out = appendText(append(out, `,"customer_id":`...), o.Customer)
	out = appendText(append(out, `,"status":`...), o.Status)
	out = appendItems(appendMoney(append(out, `,"total_amount":`...), o.Total), o.Items)
	if o.Tracking != nil {
		out = appendText(append(out, `,"tracking_number":`...), *o.Tracking)
	}
	if o.Carrier != nil {
		out = appendText(append(out, `,"carrier":`...), *o.Carrier)
	}
	out = appendTime(append(out, `,"created_at":`...), o.Created)
	out = appendTime(append(out, `,"updated_at":`...), o.Updated)
	if o.Currency != nil {
		out = appendText(append(out, `,"currency":`...), *o.Currency)
	}
	return append(out, '}')
}

func replyView(w http.ResponseWriter, tag string, view []byte) {
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	reply(w, http.StatusOK, "application/json", view)
}

func (s *server) getOrder(w http.ResponseWriter, r *http.Request, client string) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil || len(r.PathValue("id")) != 36 {
		problem(w, http.StatusNotFound, "ORDER_NOT_FOUND", "There is no such order")
		return
	}
	ctx := r.Context()
	if kept, err := s.redis.Get(ctx, viewKey(id)).Result(); err == nil {
		owner, rest, _ := strings.Cut(kept, "\n")
		tag, view, _ := strings.Cut(rest, "\n")
		if owner != client {
			problem(w, http.StatusNotFound, "ORDER_NOT_FOUND", "There is no such order")
			return
		}
		replyView(w, tag, []byte(view))
		return
	}
	o, err := s.store.find(ctx, id, client)
	if errors.Is(err, pgx.ErrNoRows) {
		problem(w, http.StatusNotFound, "ORDER_NOT_FOUND", "There is no such order")
		return
	} else if err != nil {
		unavailable(w, err)
		return
	}
	view, tag := o.view(), `"v`+strconv.FormatInt(o.Version, 10)+`"`
	if o.Status == "DELIVERED" || o.Status == "CANCELLED" { // nothing changes any more
		s.redis.Set(ctx, viewKey(id), o.Client+"\n"+tag+"\n"+string(view), viewLife)
	}
	replyView(w, tag, view)
}
