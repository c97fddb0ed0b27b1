"""The HTML and CSS of the demo's page: nothing is loaded from elsewhere."""

from string import Template

from tonezoo.analysis.html_page import html_document

PANEL = Template(
    '<figure><h3>$name</h3><div role="img" aria-label="$label">$picture</div>'
    '<audio controls preload="metadata" src="$audio" aria-label="Play the $name"></audio>'
    "<figcaption>$caption</figcaption></figure>"
)

CURVES = Template(
    '<figure><h3>$title</h3><div role="img" aria-label="$label">$picture</div>'
    "<figcaption>$text</figcaption></figure>"
)

TABLE = Template("""
<p>$about</p>
<div class="table" role="region" aria-label="$label" tabindex="0">
<table><thead><tr><td></td>$head</tr></thead><tbody>$rows</tbody></table>
</div>
<ul>$remarks</ul>
""")

SECTION = Template("""
<h2>$title</h2>
<p>$facts</p>
$clip
<p>$guide</p>
$panels
$figures
""")

PAGE = Template(
    html_document(
        "tonezoo: $low to $high",
        """<h1>$low in, $high out</h1>
<p>Of a recording all is missing that lies above half of its rate: $holes. The models on this page
turn it into one of $high and make up what is missing; one takes a song apart. Whether they do it
well can be seen, heard and measured below, of recordings always beside a plain spline, which makes
up nothing.</p>
<p>In the spectrograms time runs to the right and frequency upwards; the colour is the level, on one
scale for all of them. The players leave the level as it is.</p>
<div class="scale" role="img" aria-label="Colours from black, -100 dB, to light yellow, 0 dB.">
$scale</div>

$enhanced
$separated

<h2>A tiny model, trained on this machine for $tiny_minutes min</h2>
<p>$tiny_facts</p>
<p><strong>This is not a good model.</strong> A minute on a CPU is enough to see that every part of
the training works, and that the losses fall; it is not enough for an output that one would like to
listen to. Expect hiss and roughness.</p>
$tiny_clip
$tiny_panels
$tiny_figures
<p>Each point of the curves is the mean over an epoch; steps count from the start of a network's
training. The vertical axes of losses are logarithmic, but for the discriminator's.</p>
$curves
<p>The run lies in <code>runs/$recipe</code> beside this page, the model exported from it in
<code>savedmodels/$recipe</code>. It was verified: the SHA-256 of its $files files, and its
output, loaded from the disk again, against the output that the trained model gave.</p>

<h2>How the numbers are defined</h2>
<p>All compare a signal with the target, without rounding or clipping. ↑ marks numbers of which
more is better, ↓ those of which less is better. No single one is to be trusted: white Gaussian
noise alone, added to the spline, lowers the log-spectral distances (LSD), which is why the tables
have the rows with noise; its level is its RMS in dB re amplitude 1.0. A model is better than noise
if no such row equals it in both LSD, paper Eq. 8, and PESQ wb. A dash means that a metric has no
value there.</p>
<dl>$definitions</dl>

<h2>Go on</h2>
<pre>make demo INPUT=recording.wav      # your own recording on this page
tonezoo enhance low.wav --out enhanced
tonezoo train mu_gan_small --data FOLDER --hold-out PATTERN --max-minutes 75</pre>""",
        "$generator\n",
    )
)
