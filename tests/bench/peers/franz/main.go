// SPDX-License-Identifier: Apache-2.0

// franz-go's side of the comparison: produces a flushed warm-up, then the measured records, and prints
// one line of JSON. tests/bench/compare builds and runs it; see its --help for what is compared.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type result struct {
	Version string `json:"version"`
	Ok      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	CPU     int64  `json:"cpu_ns"`
	Wall    int64  `json:"wall_ns"`
}

type peer struct {
	client     *kgo.Client
	topic      string
	value      []byte
	keys       [][]byte
	keyNext    int
	slab       []kgo.Record
	slabCount  int
	ok, failed atomic.Uint64
}

func die(what string, err error) {
	fmt.Fprintf(os.Stderr, "franz peer: %s: %v\n", what, err)
	os.Exit(1)
}

func keysMake(count, size int) [][]byte {
	if size == 0 {
		return nil
	}
	random := rand.New(rand.NewSource(1))
	bytes := make([]byte, count*size)
	random.Read(bytes)
	keys := make([][]byte, count)
	for i := range keys {
		keys[i] = bytes[i*size : (i+1)*size : (i+1)*size]
	}
	return keys
}

// The client keeps a Record until its promise was called, so each needs memory of its own; with a slab many
// of them cost one allocation.
func (p *peer) record() *kgo.Record {
	if p.slabCount <= 1 {
		return &kgo.Record{}
	}
	if len(p.slab) == 0 {
		p.slab = make([]kgo.Record, p.slabCount)
	}
	r := &p.slab[0]
	p.slab = p.slab[1:]
	return r
}

func (p *peer) produced(_ *kgo.Record, err error) {
	if err != nil {
		p.failed.Add(1)
		return
	}
	p.ok.Add(1)
}

func (p *peer) produce(count uint64) {
	ctx := context.Background()
	promise := p.produced
	for i := uint64(0); i < count; i++ {
		r := p.record()
		r.Topic = p.topic
		r.Value = p.value
		if p.keys != nil {
			r.Key = p.keys[p.keyNext]
			if p.keyNext++; p.keyNext == len(p.keys) {
				p.keyNext = 0
			}
		}
		p.client.Produce(ctx, r, promise)
	}
	if err := p.client.Flush(ctx); err != nil {
		die("flush", err)
	}
}

func cpu() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		die("getrusage", err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "franz-go"
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return "franz-go " + module.Version + ", " + info.GoVersion
		}
	}
	return "franz-go, " + info.GoVersion
}

func main() {
	bootstrap := flag.String("bootstrap", "", "HOST:PORT of a broker")
	topic := flag.String("topic", "", "topic, which must exist")
	warmup := flag.Uint64("warmup", 0, "records that are not measured")
	records := flag.Uint64("records", 0, "records that are")
	valueBytes := flag.Int("value-bytes", 100, "")
	keyBytes := flag.Int("key-bytes", 0, "0: no key")
	keyCount := flag.Int("keys", 65536, "distinct keys")
	batchBytes := flag.Int("batch-bytes", 1000000, "largest batch")
	buffered := flag.Int("buffered", 100000, "records not acknowledged yet")
	linger := flag.Duration("linger", 5*time.Millisecond, "")
	slab := flag.Int("slab", 1, "records allocated at a time")
	flag.Parse()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(*bootstrap),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(int32(*batchBytes)),
		kgo.MaxBufferedRecords(*buffered),
		kgo.ProducerLinger(*linger),
	)
	if err != nil {
		die("client", err)
	}
	p := &peer{client: client, topic: *topic, value: make([]byte, *valueBytes), slabCount: *slab}
	for i := range p.value {
		p.value[i] = 'v'
	}
	p.keys = keysMake(*keyCount, *keyBytes)
	p.produce(*warmup)
	cpuStart, start := cpu(), time.Now()
	p.produce(*records)
	r := result{version(), 0, 0, cpu() - cpuStart, time.Since(start).Nanoseconds()}
	r.Ok, r.Failed = p.ok.Load(), p.failed.Load()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		die("output", err)
	}
	client.Close()
}
