package main

import (
	"context"
	"encoding/json"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// record is what a call looked like from here.
type record struct {
	Method  string          `json:"method"`
	Peer    string          `json:"peer"`
	Request json.RawMessage `json:"request"`
	// Bytes of the request that the baseline of the contract has no fields for.
	Unknown  int                 `json:"unknown"`
	Metadata map[string][]string `json:"metadata"`
	Code     string              `json:"code"`
}

// recorder appends a line of JSON to a file for every call.
func recorder(path string) (grpc.UnaryServerInterceptor, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	var mutex sync.Mutex
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		answer, failure := handler(ctx, request)
		message, ok := request.(proto.Message)
		if !ok {
			return answer, failure
		}
		text, err := protojson.Marshal(message)
		if err != nil {
			return nil, err
		}
		seen, _ := metadata.FromIncomingContext(ctx)
		one := record{
			Method: info.FullMethod, Request: text, Metadata: seen,
			Unknown: len(message.ProtoReflect().GetUnknown()), Code: status.Code(failure).String(),
		}
		if from, ok := peer.FromContext(ctx); ok {
			one.Peer = from.Addr.String()
		}
		mutex.Lock()
		defer mutex.Unlock()
		if err := json.NewEncoder(file).Encode(one); err != nil {
			return nil, err
		}
		return answer, failure
	}, nil
}
