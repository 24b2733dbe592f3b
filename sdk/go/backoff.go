package starflow

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives growing pauses between attempts, scattered so that clients do not march.
type backoff struct {
	next, most time.Duration
}

const firstPause = 100 * time.Millisecond

func newBackoff(most time.Duration) *backoff {
	return &backoff{next: firstPause, most: most}
}

// pause returns how long to pause now, at least as long as the service asked for.
func (b *backoff) pause(atLeast time.Duration) time.Duration {
	scattered := time.Duration(float64(b.next) * (0.5 + rand.Float64()/2))
	b.next = min(2*b.next, b.most)
	return max(scattered, atLeast)
}

// reset begins anew: an attempt succeeded.
func (b *backoff) reset() {
	b.next = firstPause
}

// sleep waits for d, and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
