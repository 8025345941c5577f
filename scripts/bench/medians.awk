# The lines of side.sh: the median of each figure of each side, and how the sides relate.
{
  side = $1
  if (!(side in rounds)) order[++sides] = side
  rounds[side]++
  for (i = 3; i <= NF; i++) {
    split($i, pair, "=")
    value[side, pair[1], rounds[side]] = pair[2]
  }
  latest[value[side, "latest", rounds[side]]]
}
function median(side, figure,    n, i, j, swap, sorted) {
  n = rounds[side]
  for (i = 1; i <= n; i++) sorted[i] = value[side, figure, i] + 0
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && sorted[j - 1] > sorted[j]; j--) {
      swap = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = swap
    }
  return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}
function ratio(one, other) {
  if (!(one in rounds) || !(other in rounds)) return
  printf "ratio %s/%s: wall %.3f cpu %.3f memory %.3f\n", one, other, median(one, "wall") / median(other, "wall"),
    median(one, "cpu") / median(other, "cpu"), median(one, "rss_mb") / median(other, "rss_mb")
}
END {
  for (i = 1; i <= sides; i++)
    printf "median of %d: %-12s wall %.2f cpu %.2f memory %d commits %d records %d\n", rounds[order[i]], order[i],
      median(order[i], "wall"), median(order[i], "cpu"), median(order[i], "rss_mb"), median(order[i], "commits"),
      median(order[i], "records")
  ratio("kstreams", "jvm")
  ratio("kstreams", "kstreams-alo")
  print "digest " (length(latest) == 1 ? "equal" : "DIFFERS")
}
