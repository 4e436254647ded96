package main

import (
	"fmt"
	"strings"

	_ "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "external-secrets.io/e2e/servers/go-peer/gen/generator/v1"
	_ "external-secrets.io/e2e/servers/go-peer/gen/provider/v1"
)

//go:generate ./generate.sh

// messages returns an empty request and an empty response of a method, given as /package.Service/Method.
func messages(method string) (request, response proto.Message, err error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, nil, fmt.Errorf("method %s: %w", method, err)
	}
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, nil, fmt.Errorf("%s is not a method", method)
	}
	if request, err = newMessage(descriptor.Input()); err != nil {
		return nil, nil, err
	}
	response, err = newMessage(descriptor.Output())
	return request, response, err
}

func newMessage(descriptor protoreflect.MessageDescriptor) (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		return nil, err
	}
	return kind.New().Interface(), nil
}
