package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	maxItems    = 100
	maxText     = 255
	maxQuantity = 1_000_000
	maxPrice    = 9_999_999_999   // cents
	maxTotal    = 999_999_999_999 // cents
	currency    = "USD"
	timeLayout  = "2006-01-02T15:04:05.000Z"
)

type item struct {
	Product  string
	Quantity int64
	Cents    int64
}

type order struct {
	ID       uuid.UUID
	Client   string
	Customer string
	Items    []item
	Total    int64
	Created  time.Time
}

type orderBody struct {
	Customer string     `json:"customer_id"`
	Items    []itemBody `json:"items"`
}

type itemBody struct {
	Product  string  `json:"product_id"`
	Quantity float64 `json:"quantity"`
	Price    float64 `json:"unit_price"`
}

// plain: 1 to 255 characters without control characters.
func plain(text string) bool {
	count := 0
	for _, c := range text {
		if c < 0x20 || (c >= 0x7f && c < 0xa0) {
			return false
		}
		count++
	}
	return count >= 1 && count <= maxText
}

// cents of a price with at most two decimals; else 0. The quotient is the double that is nearest to the two-decimal number.
func cents(price float64) int64 {
	if !(price >= 0.01 && price <= maxPrice/100.0) {
		return 0
	}
	nearest := int64(price*100 + 0.5)
	if float64(nearest)/100 != price {
		return 0
	}
	return nearest
}

func parseOrder(text []byte, client string) (*order, error) {
	var body orderBody
	if !utf8.Valid(text) {
		return nil, errors.New("the body is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the document")
	}
	if !plain(body.Customer) {
		return nil, fmt.Errorf("customer_id must be 1 to %d characters without control characters", maxText)
	}
	if len(body.Items) < 1 || len(body.Items) > maxItems {
		return nil, fmt.Errorf("items must be an array of 1 to %d items", maxItems)
	}
	o := &order{Client: client, Customer: body.Customer, Items: make([]item, len(body.Items))}
	for i, one := range body.Items {
		quantity, price := int64(one.Quantity), cents(one.Price)
		switch {
		case !plain(one.Product):
			return nil, fmt.Errorf("items/%d/product_id must be 1 to %d characters without control characters", i, maxText)
		case !(one.Quantity >= 1 && one.Quantity <= maxQuantity) || float64(quantity) != one.Quantity:
			return nil, fmt.Errorf("items/%d/quantity must be an integer from 1 to %d", i, maxQuantity)
		case price == 0:
			return nil, fmt.Errorf("items/%d/unit_price must be a number from 0.01 to 99999999.99 with at most two decimals", i)
		}
		o.Items[i] = item{one.Product, quantity, price}
		if o.Total += price * quantity; o.Total > maxTotal {
			return nil, errors.New("items must not cost more than 9999999999.99 in total")
		}
	}
	return o, nil
}

// fingerprint identifies the payload: the sequence of items does not matter.
func (o *order) fingerprint() [sha256.Size]byte {
	items := slices.Clone(o.Items)
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Quantity, b.Quantity), cmp.Compare(a.Cents, b.Cents))
	})
	text := make([]byte, 0, 256)
	text = append(text, o.Customer...)
	for _, one := range items {
		text = append(append(append(text, '\n'), one.Product...), '\n')
		text = append(strconv.AppendInt(text, one.Quantity, 10), '\n')
		text = strconv.AppendInt(text, one.Cents, 10)
	}
	return sha256.Sum256(text)
}

// newID: its time is that of the order.
func newID() (uuid.UUID, time.Time) {
	id := uuid.Must(uuid.NewV7())
	ms := int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
	return id, time.UnixMilli(ms).UTC()
}

func newTraceparent() string {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	text := make([]byte, 0, 55)
	text = append(text, "00-"...)
	text = append(hex.AppendEncode(text, random[:16]), '-')
	return string(append(hex.AppendEncode(text, random[16:]), "-01"...))
}

// JSON is appended by hand: the documents are small, and this costs a fraction of reflection.

func appendText(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

func appendMoney(out []byte, cents int64) []byte {
	out = append(strconv.AppendInt(out, cents/100, 10), '.')
	return append(out, byte('0'+cents/10%10), byte('0'+cents%10))
}

func appendTime(out []byte, when time.Time) []byte {
	return append(when.UTC().AppendFormat(append(out, '"'), timeLayout), '"')
}

func appendID(out []byte, id uuid.UUID) []byte {
	return append(append(append(out, '"'), id.String()...), '"')
}

func appendItems(out []byte, items []item) []byte {
	out = append(out, `,"items":[`...)
	for i, one := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendText(append(out, `{"product_id":`...), one.Product)
		out = strconv.AppendInt(append(out, `,"quantity":`...), one.Quantity, 10)
		out = append(appendMoney(append(out, `,"unit_price":`...), one.Cents), '}')
	}
	return append(out, ']')
}

// receipt is the answer to a new order, and to its replays.
func receipt(id uuid.UUID, total int64, created time.Time) []byte {
	out := appendID(append(make([]byte, 0, 192), `{"order_id":`...), id)
	out = appendMoney(append(out, `,"status":"PENDING_SHIPMENT","total_amount":`...), total)
	return append(appendTime(append(out, `,"created_at":`...), created), '}')
}

// event is what the queue would get.
func (o *order) event(id uuid.UUID) string {
	out := appendID(append(make([]byte, 0, 512), `{"eventType":"ORDER_CREATED","eventId":`...), id)
	out = appendID(append(out, `,"orderId":`...), o.ID)
	out = appendText(append(out, `,"customerId":`...), o.Customer)
	out = appendMoney(append(appendItems(out, o.Items), `,"totalAmount":`...), o.Total)
	out = appendTime(append(out, `,"timestamp":`...), o.Created)
	return string(append(appendText(append(out, `,"clientId":`...), o.Client), '}'))
}
