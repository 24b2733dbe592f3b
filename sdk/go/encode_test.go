package starflow

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"testing"
	"testing/quick"
	"time"
)

type inner struct {
	A float64 `json:"a"`
	B int
}

type Shown struct {
	C float32 `json:"c,omitempty"`
	B string  // hidden by what is less deep
}

type pointed struct{ D float64 }

type byText struct{ n int }

func (b byText) MarshalText() ([]byte, error) { return json.Marshal(b.n) }

type byPointer struct{ F float64 }

func (b *byPointer) MarshalJSON() ([]byte, error) { return []byte(`"by its pointer"`), nil }

type everything struct {
	inner
	Shown
	*pointed
	Named    Shown     `json:"named"`
	Skipped  float64   `json:"-"`
	Dash     float64   `json:"-,"`
	Empty    []float64 `json:",omitempty"`
	Zero     time.Time `json:"zero,omitzero"`
	Quoted   float64   `json:",string"`
	QuotedN  *int      `json:",string"`
	Keys     map[int]float64
	Texts    map[byText]any
	Any      any
	List     []any
	Fixed    [2]float64
	Bytes    []byte
	Big      *big.Int
	Raw      json.RawMessage
	Number   json.Number
	Marshals byPointer
	Points   *byPointer
	Loop     *everything
	hidden   float64
}

// What the two write differs only in the fraction of whole floats.
var fraction = regexp.MustCompile(`([0-9])\.0\b`)

func sameAsJSON(t *testing.T, value any) {
	t.Helper()
	want, wrong := json.Marshal(value)
	got, err := encode(value)
	if (err == nil) != (wrong == nil) {
		t.Fatalf("%#v: %v, but encoding/json: %v", value, err, wrong)
	}
	var wanted, gotten any
	_ = json.Unmarshal(want, &wanted)
	_ = json.Unmarshal([]byte(fraction.ReplaceAllString(got, "$1")), &gotten)
	if !reflect.DeepEqual(wanted, gotten) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatIsEncodedIsWhatJSONWouldEncode(t *testing.T) {
	five := 5
	full := everything{
		inner: inner{1, 2}, Shown: Shown{3, "x"}, pointed: &pointed{4}, Empty: []float64{1},
		QuotedN: &five, Keys: map[int]float64{3: 1, 1: 2}, Texts: map[byText]any{{4}: 1.0},
		Any: map[string]any{"x": 1.0, "y": []any{nil, 2.5}}, List: []any{1, 1.0, "a<b"},
		Bytes: []byte("abc"), Big: big.NewInt(7), Raw: json.RawMessage(`1.0`), Number: "1.0",
		Points: &byPointer{}, Loop: &everything{Raw: json.RawMessage("0"), Number: "0"}, hidden: 1,
		Zero: time.Unix(0, 0),
	}
	for _, value := range []any{
		nil, full, &full, 1.0, -0.0, 1e-9, 1e21, math.MaxFloat64, float32(2), []float64(nil), map[string]float64(nil),
		[]any{everything{Raw: json.RawMessage("0"), Number: "0"}}, struct{ X any }{}, (*everything)(nil),
		"plain", "quo\"te", "back\\slash", "line\n", "\x7f", "ü", "\u2028", "\xff", true, uint8(200), int64(math.MinInt64),
		map[string]any{"k\"ey": 1, "ü": "", "n": json.Number("1.50")}, json.Number("no number"),
		math.NaN(), []any{math.Inf(1)}, map[string]any{"f": func() {}}, map[bool]float64{true: 1}, complex(1, 2),
	} {
		sameAsJSON(t, value)
	}
}

func TestGeneratedValuesAreEncodedAsJSONWould(t *testing.T) {
	type shape struct {
		F    float64
		G    *float32 `json:"g,omitempty"`
		S    string
		M    map[string][]float64
		I    int64
		Deep []struct {
			Shown
			X map[uint8]float32
		}
	}
	same := func(value shape) bool {
		sameAsJSON(t, value)
		return !t.Failed()
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

func TestFloatsAreWrittenAsFloats(t *testing.T) {
	type point struct{ X, Y float64 }
	for want, value := range map[string]any{
		"1.0":                     1.0,
		"[1,1.0,2.5]":             []any{1, 1.0, 2.5},
		`{"X":1.0,"Y":-2.0}`:      point{1, -2},
		`{"a":{"X":0.0,"Y":0.5}}`: map[string]*point{"a": {0, 0.5}},
		"1e+21":                   1e21,
		"100000000000000000000.0": 1e20,
		`"<&>"`:                   "<&>",
		`{"<":1.0}`:               map[string]any{"<": 1.0},
	} {
		got, err := encode(value)
		if err != nil || got != want {
			t.Errorf("got %s (%v), want %s", got, err, want)
		}
	}
}

func TestAValueWithinItselfIsRefused(t *testing.T) {
	list := []any{nil}
	list[0] = list
	if _, err := encode(list); err == nil {
		t.Error("it was encoded")
	}
}

func TestCodesAreAsTheServiceWantsThem(t *testing.T) {
	for given, want := range map[string]string{
		"CARD_DECLINED": "CARD_DECLINED",
		"card-declined": "CARD_DECLINED",
		"404":           "E_404",
		"STARFLOW_X":    "E_STARFLOW_X",
		"":              "E_",
	} {
		if got := cleanCode(given); got != want {
			t.Errorf("%s became %s, want %s", given, got, want)
		}
	}
	if got := codeOf(&json.UnsupportedTypeError{}); got != "Unsupported_Type_Error" {
		t.Error(got)
	}
}

func TestTextIsClippedBetweenCharacters(t *testing.T) {
	for given, want := range map[string]string{"abcd": "abc", "ab€": "ab", "€a": "€", "a\xff": "a", "ab": "ab"} {
		if got := clip(given, 3); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}
