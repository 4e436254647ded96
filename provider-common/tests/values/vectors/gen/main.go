// Command vectors answers questions about JSON text, patterns and encodings with the Go libraries whose behaviour the
// Python package has to equal. It reads cases as JSON lines and writes each back with its answer, in the same order.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// text is a string that need not be UTF-8: a JSON string if it is, {"base64": ...} if not.
type text string

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(string(t))
		return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
	}
	return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString([]byte(t))})
}

func (t *text) UnmarshalJSON(data []byte) error {
	if data[0] == '{' {
		var wrapped struct{ Base64 []byte }
		err := json.Unmarshal(data, &wrapped)
		*t = text(wrapped.Base64)
		return err
	}
	return json.Unmarshal(data, (*string)(t))
}

// vector is one case. Which fields mean something depends on the operation.
type vector struct {
	Op    string `json:"op"`
	Doc   *text  `json:"doc,omitempty"`
	Path  *text  `json:"path,omitempty"`
	Value *text  `json:"value,omitempty"`

	Kind   string          `json:"kind,omitempty"`
	Raw    *text           `json:"raw,omitempty"`
	Result *text           `json:"result,omitempty"`
	Map    map[string]text `json:"map,omitempty"`
	Yes    *bool           `json:"yes,omitempty"`
	Error  bool            `json:"error,omitempty"`
	Panic  bool            `json:"panic,omitempty"`
}

func answer(v *vector) {
	defer func() {
		if recover() != nil {
			v.Panic = true
		}
	}()
	v.Kind, v.Raw, v.Result, v.Map, v.Yes, v.Error, v.Panic = "", nil, nil, nil, nil, false, false
	result := func(out text, err error) {
		if err != nil {
			v.Error = true
		} else {
			v.Result = &out
		}
	}
	yes := func(out bool) { v.Yes = &out }
	switch v.Op {
	case "get":
		found := gjson.Get(string(*v.Doc), string(*v.Path))
		if !found.Exists() {
			v.Kind = "absent"
			return
		}
		v.Kind = map[gjson.Type]string{gjson.Null: "null", gjson.False: "false", gjson.Number: "number",
			gjson.String: "string", gjson.True: "true", gjson.JSON: "json"}[found.Type]
		raw := text(found.Raw)
		v.Raw = &raw
		result(text(found.String()), nil)
	case "valid":
		yes(gjson.Valid(string(*v.Doc)))
	case "set":
		out, err := sjson.Set(string(*v.Doc), string(*v.Path), string(*v.Value))
		result(text(out), err)
	case "delete":
		out, err := sjson.Delete(string(*v.Doc), string(*v.Path))
		result(text(out), err)
	case "map":
		v.Map = toMap([]byte(*v.Doc), v)
	case "map-decoded":
		v.Map = toMapDecoded([]byte(*v.Doc), v)
	case "encode", "encode-html":
		var decoded any
		if err := json.Unmarshal([]byte(*v.Doc), &decoded); err != nil {
			v.Error = true
			return
		}
		out, err := encode(decoded, v.Op == "encode-html")
		result(text(out), err)
	case "quote":
		out, err := encode(string(*v.Doc), false)
		result(text(out), err)
	case "whole":
		data := map[string]string{}
		for key, value := range v.Map {
			data[key] = string(value)
		}
		given := v.Map
		out, err := encode(data, false)
		result(text(out), err)
		v.Map = given
	case "match":
		pattern, err := regexp.Compile(string(*v.Path))
		if err != nil {
			v.Error = true
			return
		}
		yes(pattern.MatchString(string(*v.Doc)))
	case "key-default", "key-unicode":
		result(text(convertKey(string(*v.Doc), v.Op == "key-unicode")), nil)
	default:
		panic("unknown operation")
	}
}

func encode(value any, escapeHTML bool) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(escapeHTML)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// toMap: strings as text, everything else as it is written, null as nothing.
func toMap(doc []byte, v *vector) map[string]text {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(doc, &members); err != nil || members == nil {
		v.Error = true
		return nil
	}
	out := map[string]text{}
	for key, raw := range members {
		var value string
		if json.Unmarshal(raw, &value) == nil {
			out[key] = text(value)
		} else {
			out[key] = text(raw)
		}
	}
	return out
}

// toMapDecoded: numbers without exponent, everything nested encoded anew. Go rounds integers beyond 2^53 here, and Python
// must not: no vector has any.
func toMapDecoded(doc []byte, v *vector) map[string]text {
	var members map[string]any
	if err := json.Unmarshal(doc, &members); err != nil || members == nil {
		v.Error = true
		return nil
	}
	out := map[string]text{}
	for key, member := range members {
		switch value := member.(type) {
		case nil:
			out[key] = ""
		case string:
			out[key] = text(value)
		case bool:
			out[key] = text(strconv.FormatBool(value))
		case float64:
			out[key] = text(strconv.FormatFloat(value, 'f', -1, 64))
		default:
			encoded, err := encode(value, true)
			if err != nil {
				v.Error = true
				return nil
			}
			out[key] = text(encoded)
		}
	}
	return out
}

func convertKey(key string, escape bool) string {
	out := ""
	for _, r := range key {
		switch {
		case unicode.IsLetter(r) || unicode.IsNumber(r) || r == '-' || r == '.' || r == '_':
			out += string(r)
		case escape:
			out += fmt.Sprintf("_U%04x_", r)
		default:
			out += "_"
		}
	}
	return out
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var v vector
			if err := json.Unmarshal(line, &v); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			answer(&v)
			encoded, err := encode(&v, false)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			out.Write(append(encoded, '\n'))
		}
		if err != nil {
			return
		}
	}
}
