package main

import (
	"context"
	"encoding/json"

	"github.com/oasisprotocol/oasis-core/go/common/cbor"
	"github.com/oasisprotocol/oasis-core/go/common/crypto/hash"
	"github.com/oasisprotocol/oasis-core/go/storage/api"
	"github.com/oasisprotocol/oasis-core/go/storage/mkvs/syncer"
)

// read decodes {db, request (CBOR)} and answers with the CBOR of the response.
func read[R any](
	ctx context.Context,
	s *session,
	raw json.RawMessage,
	method func(context.Context, *backend, *R) (*api.ProofResponse, error),
) (any, error) {
	var p struct {
		DB      int      `json:"db"`
		Request hexBytes `json:"request"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	db, err := s.db(p.DB)
	if err != nil {
		return nil, err
	}
	var request R
	if err = cbor.UnmarshalRPC(p.Request, &request); err != nil {
		return nil, err
	}
	response, err := method(ctx, db, &request)
	if err != nil {
		return nil, err
	}
	return map[string]any{"response": hexBytes(cbor.Marshal(response))}, nil
}

func syncGet(ctx context.Context, s *session, raw json.RawMessage) (any, error) {
	return read(ctx, s, raw, func(ctx context.Context, db *backend, r *api.GetRequest) (*api.ProofResponse, error) {
		return db.SyncGet(ctx, r)
	})
}

func syncGetPrefixes(ctx context.Context, s *session, raw json.RawMessage) (any, error) {
	return read(ctx, s, raw, func(ctx context.Context, db *backend, r *api.GetPrefixesRequest) (*api.ProofResponse, error) {
		return db.SyncGetPrefixes(ctx, r)
	})
}

func syncIterate(ctx context.Context, s *session, raw json.RawMessage) (any, error) {
	return read(ctx, s, raw, func(ctx context.Context, db *backend, r *api.IterateRequest) (*api.ProofResponse, error) {
		return db.SyncIterate(ctx, r)
	})
}

// verify {root, proof (CBOR)} -> {writelog: [[key, value]]}, or the verifier's error.
func verifyProof(ctx context.Context, _ *session, raw json.RawMessage) (any, error) {
	var p struct {
		Root  hexBytes `json:"root"`
		Proof hexBytes `json:"proof"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	var root hash.Hash
	if err := root.UnmarshalBinary(p.Root); err != nil {
		return nil, err
	}
	var proof syncer.Proof
	if err := cbor.Unmarshal(p.Proof, &proof); err != nil {
		return nil, err
	}
	var verifier syncer.ProofVerifier
	log, err := verifier.VerifyProofToWriteLog(ctx, root, &proof)
	if err != nil {
		return nil, err
	}
	entries := make([][2]hexBytes, 0, len(log))
	for _, entry := range log {
		entries = append(entries, [2]hexBytes{entry.Key, entry.Value})
	}
	return map[string]any{"writelog": entries}, nil
}
