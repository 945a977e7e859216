// SPDX-License-Identifier: Apache-2.0

// gocheck verifies receipts with code that is not Counterfoil's: signed notes by
// golang.org/x/mod/sumdb/note, cosignatures by transparency-dev/formats/note, trees by
// golang.org/x/mod/sumdb/tlog.
//
//	gocheck bundle FILE...     bundles, as the gateway serves them
//	gocheck folder DIR...      lanes of exported folders (docs/auditing.md)
//	gocheck tree FILE...       roots, proofs and tiles of trees (tests/support/tree_main.c)
//
// One line for each thing that was checked; exit status 1 if anything is wrong.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	cosig "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const leafSize = 192

type head struct {
	origin   string
	size     int64
	root     tlog.Hash
	signers  []string // names of the keys whose signatures verified
	supplier bool
	cosigned bool
}

// openCheckpoint verifies a note with the keys given; at least one must have signed, and Open fails
// if any signature of a known key is false.
func openCheckpoint(text []byte, keys []string) (*head, error) {
	var verifiers []note.Verifier
	for _, key := range keys {
		v, err := cosig.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return nil, errors.New("a checkpoint has three lines")
	}
	h := &head{origin: lines[0]}
	if h.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return nil, err
	}
	if h.root, err = tlog.ParseHash(lines[2]); err != nil {
		return nil, err
	}
	for _, sig := range n.Sigs {
		h.signers = append(h.signers, sig.Name)
		h.supplier = h.supplier || strings.HasPrefix(sig.Name, "counterfoil/supplier/")
		h.cosigned = h.cosigned || strings.HasPrefix(sig.Name, "counterfoil/gateway/")
	}
	return h, nil
}

// keysOf makes the verifier keys of an origin's two parties.
func keysOf(origin string) ([]string, error) {
	parts := strings.Split(origin, "/")
	if len(parts) != 6 || parts[0] != "counterfoil" || parts[1] != "1" {
		return nil, fmt.Errorf("not the origin of a lane: %q", origin)
	}
	gateway, err := hex.DecodeString(parts[3])
	if err != nil {
		return nil, err
	}
	supplier, err := hex.DecodeString(parts[4])
	if err != nil {
		return nil, err
	}
	s, err := note.NewEd25519VerifierKey("counterfoil/supplier/"+parts[4], supplier)
	if err != nil {
		return nil, err
	}
	g, err := note.NewEd25519VerifierKey("counterfoil/gateway/"+parts[3], gateway)
	if err != nil {
		return nil, err
	}
	if g, err = cosig.VKeyToCosignatureV1(g); err != nil {
		return nil, err
	}
	return []string{s, g}, nil
}

func checkBundle(path string) (string, error) {
	var b struct {
		Leaf       string
		Index      int64
		Size       int64
		Proof      []string
		Checkpoint string
		Keys       []string
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return "", err
	}
	h, err := openCheckpoint([]byte(b.Checkpoint), b.Keys)
	if err != nil {
		return "", err
	}
	own, err := keysOf(h.origin)
	if err != nil {
		return "", err
	}
	for _, key := range b.Keys {
		if key != own[0] && key != own[1] {
			return "", fmt.Errorf("key %s is of neither party of the lane", key)
		}
	}
	if !h.supplier {
		return "", errors.New("the supplier did not sign")
	}
	leaf, err := hex.DecodeString(b.Leaf)
	if err != nil || len(leaf) != leafSize {
		return "", fmt.Errorf("not a leaf: %v", err)
	}
	var proof tlog.RecordProof
	for _, text := range b.Proof {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			return "", err
		}
		proof = append(proof, hash)
	}
	if b.Size != h.size {
		return "", fmt.Errorf("size %d, but the checkpoint is of %d", b.Size, h.size)
	}
	if err := tlog.CheckRecord(proof, h.size, h.root, b.Index, tlog.RecordHash(leaf)); err != nil {
		return "", err
	}
	return fmt.Sprintf("index=%d size=%d cosigned=%t", b.Index, h.size, h.cosigned), nil
}

// tiles reads the exported tiles of a lane for tlog's reader.
type tiles struct {
	dir string
}

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range list {
		// sumdb writes tile/<height>/<level>/..., tlog-tiles leaves the height out
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// checkLane rebuilds the root from the leaves, opens both notes, and has tlog make and check proofs
// from the tiles.
func checkLane(dir string) (string, error) {
	leaves, err := os.ReadFile(filepath.Join(dir, "leaves.bin"))
	if err != nil {
		return "", err
	}
	if len(leaves) == 0 {
		return "size=0", nil
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			list[i] = stored[at]
		}
		return list, nil
	})
	count := int64(len(leaves) / leafSize)
	for i := int64(0); i < count; i++ {
		hashes, err := tlog.StoredHashes(i, leaves[i*leafSize:(i+1)*leafSize], reader)
		if err != nil {
			return "", err
		}
		stored = append(stored, hashes...)
	}
	newest, err := checkHead(filepath.Join(dir, "checkpoint"), reader, count)
	if err != nil {
		return "", err
	}
	cosigned := int64(0)
	final, err := checkHead(filepath.Join(dir, "final"), reader, count)
	if err == nil && final.cosigned {
		cosigned = final.size
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	proofs, err := checkTiles(dir, newest, leaves)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("size=%d cosigned=%d proofs=%d", newest.size, cosigned, proofs), nil
}

func checkHead(path string, reader tlog.HashReader, count int64) (*head, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	origin, _, _ := bytes.Cut(text, []byte("\n"))
	keys, err := keysOf(string(origin))
	if err != nil {
		return nil, err
	}
	h, err := openCheckpoint(text, keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if h.size > count {
		return nil, fmt.Errorf("%s: %d leaves, but the folder has %d", path, h.size, count)
	}
	root, err := tlog.TreeHash(h.size, reader)
	if err != nil {
		return nil, err
	}
	if root != h.root {
		return nil, fmt.Errorf("%s: root %s, but the leaves give %s", path, h.root, root)
	}
	return h, nil
}

// checkTiles proves up to 64 leaves, spread over the lane, from its tiles; 0 if it has none.
func checkTiles(dir string, h *head, leaves []byte) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "tile")); err != nil {
		return 0, nil
	}
	reader := tlog.TileHashReader(tlog.Tree{N: h.size, Hash: h.root}, tiles{dir})
	step := (h.size + 63) / 64
	proofs := 0
	for i := int64(0); i < h.size; i += step {
		proof, err := tlog.ProveRecord(h.size, i, reader)
		if err != nil {
			return 0, err
		}
		hash := tlog.RecordHash(leaves[i*leafSize : (i+1)*leafSize])
		if err := tlog.CheckRecord(proof, h.size, h.root, i, hash); err != nil {
			return 0, err
		}
		proofs++
	}
	return proofs, nil
}

func report(what string, found string, err error) bool {
	if err != nil {
		fmt.Printf("bad %s: %v\n", what, err)
		return false
	}
	fmt.Printf("ok %s: %s\n", what, found)
	return true
}

func checkFolder(dir string) bool {
	lanes, err := filepath.Glob(filepath.Join(dir, "lanes", "*"))
	if err != nil || len(lanes) == 0 {
		return report(dir, "", errors.New("no lanes"))
	}
	fine := true
	for _, lane := range lanes {
		found, err := checkLane(lane)
		fine = report(filepath.Base(lane), found, err) && fine
	}
	return fine
}

func main() {
	verbs := map[string]func(string) bool{
		"bundle": func(path string) bool {
			found, err := checkBundle(path)
			return report(path, found, err)
		},
		"folder": checkFolder,
		"tree":   checkTrees,
	}
	if len(os.Args) < 3 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: gocheck bundle FILE... | folder DIR... | tree FILE...")
		os.Exit(3)
	}
	fine := true
	for _, path := range os.Args[2:] {
		fine = verbs[os.Args[1]](path) && fine
	}
	if !fine {
		os.Exit(1)
	}
}
