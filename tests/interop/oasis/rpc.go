package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/oasisprotocol/oasis-core/go/common/cbor"
	cmnGrpc "github.com/oasisprotocol/oasis-core/go/common/grpc"
	"github.com/oasisprotocol/oasis-core/go/storage/api"
	"github.com/oasisprotocol/oasis-core/go/storage/mkvs/checkpoint"
)

// serve {db, socket} -> {address}: the node's own storage service on a Unix socket, until the program ends.
func serve(_ context.Context, s *session, raw json.RawMessage) (any, error) {
	var p struct {
		DB     int    `json:"db"`
		Socket string `json:"socket"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	db, err := s.db(p.DB)
	if err != nil {
		return nil, err
	}
	server, err := cmnGrpc.NewServer(&cmnGrpc.ServerConfig{Name: "interop", Path: p.Socket})
	if err != nil {
		return nil, err
	}
	api.RegisterService(server.Server(), db)
	if err = server.Start(); err != nil {
		return nil, err
	}
	s.servers = append(s.servers, server)
	return map[string]any{"address": "unix:" + p.Socket}, nil
}

// call {address, method, request (CBOR)} -> {response} or {writelog} or {chunk}: the node's own client and codec.
func call(ctx context.Context, _ *session, raw json.RawMessage) (any, error) {
	var p struct {
		Address string   `json:"address"`
		Method  string   `json:"method"`
		Request hexBytes `json:"request"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	conn, err := cmnGrpc.Dial(p.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	client := api.NewClient(conn)

	switch p.Method {
	case "SyncGet":
		return unary(ctx, p.Request, client.SyncGet)
	case "SyncGetPrefixes":
		return unary(ctx, p.Request, client.SyncGetPrefixes)
	case "SyncIterate":
		return unary(ctx, p.Request, client.SyncIterate)
	case "GetCheckpoints":
		return unary(ctx, p.Request, client.GetCheckpoints)
	case "GetDiff":
		return diff(ctx, p.Request, client)
	case "GetCheckpointChunk":
		return chunk(ctx, p.Request, client)
	default:
		return nil, fmt.Errorf("unknown method %q", p.Method)
	}
}

func unary[Q, R any](ctx context.Context, encoded []byte, method func(context.Context, *Q) (R, error)) (any, error) {
	var request Q
	if err := cbor.Unmarshal(encoded, &request); err != nil {
		return nil, err
	}
	response, err := method(ctx, &request)
	if err != nil {
		return nil, err
	}
	return map[string]any{"response": hexBytes(cbor.Marshal(response))}, nil
}

func diff(ctx context.Context, encoded []byte, client *api.Client) (any, error) {
	var request api.GetDiffRequest
	if err := cbor.Unmarshal(encoded, &request); err != nil {
		return nil, err
	}
	it, err := client.GetDiff(ctx, &request)
	if err != nil {
		return nil, err
	}
	entries := make([][2]hexBytes, 0)
	for {
		more, err := it.Next()
		if err != nil {
			return nil, err
		}
		if !more {
			return map[string]any{"writelog": entries}, nil
		}
		entry, err := it.Value()
		if err != nil {
			return nil, err
		}
		entries = append(entries, [2]hexBytes{entry.Key, entry.Value})
	}
}

func chunk(ctx context.Context, encoded []byte, client *api.Client) (any, error) {
	var request checkpoint.ChunkMetadata
	if err := cbor.Unmarshal(encoded, &request); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := client.GetCheckpointChunk(ctx, &request, &out); err != nil {
		return nil, err
	}
	return map[string]any{"chunk": hexBytes(out.Bytes())}, nil
}
