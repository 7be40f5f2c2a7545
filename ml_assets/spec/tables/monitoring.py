"""Tables of monitoring: feeds, drift, performance and decisions."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import LakeColumn, Table, read_columns

_MONITOR = read_columns("""
    family      | VARCHAR | feed, or the reference of a feature: before (the drops before) or training
    monitor     | VARCHAR | name of the monitor: family, column, statistic
    source      | VARCHAR | the feed | | a feature
    column_name | VARCHAR | the column or feature | | the whole feed, or all features together
    statistic   | VARCHAR | what is measured
    state       | VARCHAR | ok, over (its threshold), alarm (over often enough), or not enough data
    kind        | VARCHAR | what it looks like: broken_feed, drift, abrupt or cannot_tell | | it is not over
    meaning     | VARCHAR | the same in words | | it is not over
    detail      | VARCHAR | what moved most | | there is nothing to add
""")
_MEASURED = read_columns("""
    value     | DOUBLE | measured in the drop or its window | | not measured
    usual     | DOUBLE | the same in the reference | | unknown
    z         | DOUBLE | how far the value lies from its placebo windows | standard deviations | not enough data
    threshold | DOUBLE | largest z within the budget of false alarms | standard deviations | not enough data
    ratio     | DOUBLE | z over its threshold; above 1 it is over
""")
_OF_FEATURES = read_columns("""
    psi                  | DOUBLE | population stability index of the window | | of feeds, or undefined
    jensen_shannon       | DOUBLE | Jensen-Shannon distance | | of feeds, or undefined
    ks                   | DOUBLE | Kolmogorov-Smirnov statistic | | a text, or undefined
    wasserstein          | DOUBLE | Wasserstein distance, in widths of the reference | | a text, or undefined
    null_share           | DOUBLE | share of nulls in the window | | undefined
    reference_null_share | DOUBLE | share of nulls in the reference | | undefined
    unseen_share         | DOUBLE | share of values the reference does not have | | undefined
    importance           | DOUBLE | share of the champion's importance
""")
_PLACEBOS = read_columns("""
    placebo_mean  | DOUBLE | mean over the placebo windows | | not enough data
    placebo_sd    | DOUBLE | standard deviation over them | | not enough data
    n_independent | DOUBLE | as many independent windows | windows | not enough data
    n_placebos    | BIGINT | placebo windows | windows
""")
_WINDOWS = read_columns("""
    n_window    | BIGINT | examples of the window | rows
    n_reference | BIGINT | examples of the reference | rows
""")
_MODEL = read_columns("model_version | VARCHAR | the champion whose training rows are the reference | | another one")
FEED_HEALTH = Table(
    "feed_health",
    asset="monitoring/feed_health",
    grain="drop x monitor of a feed",
    columns=DROP + _MONITOR + _MEASURED + _PLACEBOS,
)
DRIFT_REPORT = Table(
    "drift_report",
    asset="monitoring/drift_report",
    grain="drop x reference x monitor of a feature, the score, or all together",
    columns=DROP + _MONITOR + _MODEL + _MEASURED + _OF_FEATURES + _PLACEBOS + _WINDOWS,
)
PERFORMANCE_REPORT = Table(
    "performance_report",
    asset="monitoring/performance_report",
    grain="drop x drop of the prediction x role x slice",
    columns=(
        LakeColumn("batch_date", "DATE", "the drop in which the examples matured"),
        LakeColumn("prediction_batch_date", "DATE", "the drop in which they were predicted"),
        *read_columns("""
    role                  | VARCHAR | champion, baseline, first_champion (never retrained), last_refused, failed
    slice_column          | VARCHAR | the feature that cuts them | | all
    slice_value           | VARCHAR | its value | | all, or the feature is unknown
    model_version         | VARCHAR | of the model; the champion's for the baseline
    n                     | BIGINT  | matured with a label known by the drop | rows
    n_unresolved          | BIGINT  | matured without one | rows
    label_share [binary]  | DOUBLE  | share of positives | | no label
    mean_label [regression, count] | DOUBLE | mean label | | no label
    mean_score            | DOUBLE  | mean score | | no label, or a slice of too few
    auc [binary]          | DOUBLE  | area under the ROC curve | | undefined, or a slice of too few
    log_loss [binary]     | DOUBLE  | log loss | nats | undefined, or a slice of too few
    log_loss_over_entropy [binary] | DOUBLE | over that of always saying the label share | | undefined, or a slice
    brier [binary]        | DOUBLE  | Brier score | | undefined, or a slice
    ece [binary]          | DOUBLE  | expected calibration error | | undefined, or a slice
    precision_at_capacity [binary] | DOUBLE | share of positives among the highest scores, a list long | | a slice
    cost [binary]         | DOUBLE  | mean cost an example, in the unit of the declaration | | undefined, or a slice
    log_loss_lower [binary] | DOUBLE | normal-theory 90 % interval | nats | not a slice
    log_loss_upper [binary] | DOUBLE | its upper bound | nats | not a slice
    mse [regression]      | DOUBLE  | mean squared error | | undefined, or a slice of too few
    mse_over_variance [regression] | DOUBLE | over that of always saying the mean label | | undefined, or a slice
    r2 [regression]       | DOUBLE  | share of the variance explained | | undefined, or a slice of too few
    deviance [count]      | DOUBLE  | mean Poisson deviance | | undefined, or a slice of too few
    deviance_over_constant [count] | DOUBLE | over that of always saying the mean label | | undefined, or a slice
    explained_deviance [count] | DOUBLE | share of the deviance explained | | undefined, or a slice of too few
    mae [regression, count] | DOUBLE | mean absolute error | | undefined, or a slice of too few
    rank_correlation [regression, count] | DOUBLE | of labels and scores | | undefined, or a slice of too few
    label_at_capacity [regression, count] | DOUBLE | mean label of the highest scores, a list long | | a slice
    mse_lower [regression] | DOUBLE | normal-theory 90 % interval | | not a slice
    mse_upper [regression] | DOUBLE | its upper bound | | not a slice
    deviance_lower [count] | DOUBLE | normal-theory 90 % interval | | not a slice
    deviance_upper [count] | DOUBLE | its upper bound | | not a slice
"""),
    ),
)
PERFORMANCE_VERDICTS = Table(
    "performance_verdicts",
    asset="monitoring/performance_report",
    grain="drop",
    columns=DROP
    + read_columns("""
    model_version | VARCHAR | the champion of the drop | | none serves yet
    state         | VARCHAR | ok, failed, not enough data or no champion
    prior_state   | VARCHAR | shifted where the label share left what the scores average | | not judged
    gain          | DOUBLE  | share of the baseline's loss that the champion saves | | not enough data
    gain_lower    | DOUBLE  | lower bound of its 80 % interval | | not enough data
    gain_upper    | DOUBLE  | upper bound | | not enough data
    gain_at_gate  | DOUBLE  | the same when the gate saw it | | no champion
    threshold     | DOUBLE  | least gain, as a share of that | | no champion
    loss_at_gate  | DOUBLE  | loss of rows the model had not seen before it served | | not known
    baseline_at_gate | DOUBLE | loss of the baseline on these rows | | not known
    loss_now      | DOUBLE  | loss of the window | | not enough data
    loss_level    | DOUBLE  | cumulative sum of daily losses above that, in deviations of a day | | not known
    loss_limit    | DOUBLE  | what it exceeds by chance once in the budget | | not known
    loss_since    | DATE    | first drop of the rise | | it has not risen
    behind_level  | DOUBLE  | the same sum of daily losses above the baseline's | | not known
    behind_limit  | DOUBLE  | what it exceeds by chance once in the budget | | not known
    behind_since  | DATE    | first drop since which the champion does worse than the baseline | | it does not
    prior_level   | DOUBLE  | cumulative sum of how far labels lie from scores, in deviations of a day | | not known
    prior_limit   | DOUBLE  | what it exceeds by chance once in the budget | | not known
    prior_share   | DOUBLE  | mean label since that sum was last zero | | it is zero, or not known
    prior_score   | DOUBLE  | mean score since then | | it is zero, or not known
    prior_since   | DATE    | first drop since which labels have left the scores at some cost | | they have not
    ece_by_chance [binary] | DOUBLE | calibration error that right scores exceed once in the budget | | none matured
    first_gain    | DOUBLE  | share of the first champion's loss that the champion saves | | it is the first
    first_gain_upper | DOUBLE | upper bound, as surely as the budget of false alarms asks | | it is the first
    fallback_auc [binary] | DOUBLE | AUC of the baseline that serves since the champion did worse | | none, or one class
    fallback_auc_lower [binary] | DOUBLE | lower bound of its 80 % interval | | the same
    n             | BIGINT  | matured examples of the window | rows
    n_days        | BIGINT  | their days | days
    label_share [binary] | DOUBLE | share of positives among them | | none
    mean_label [regression, count] | DOUBLE | mean label of them | | none
    mean_score    | DOUBLE  | mean score | | none
    share_gap     | DOUBLE  | mean label less mean score | | none
    ece [binary]  | DOUBLE  | expected calibration error | | none
    window_from   | DATE    | first drop of the window | | none
    window_until  | DATE    | last drop of the window | | none
"""),
)
DECISIONS = Table(
    "decisions",
    asset="monitoring/decisions",
    grain="drop",
    columns=DROP
    + read_columns("""
    action            | VARCHAR   | retrain, wait (for rows or the cooldown), fix_upstream, or nothing
    trigger           | VARCHAR   | drift, performance or staleness | | none fires
    reason            | VARCHAR   | why
    would_change      | VARCHAR   | what would change the decision
    monitor           | VARCHAR   | the monitor that weighs most | | none does
    measurement       | DOUBLE    | what it measured | | none does
    threshold         | DOUBLE    | against what | | none does
    evidence          | VARCHAR[] | everything looked at
    champion_as_of    | DATE      | as of which drop the champion was trained | | none serves yet
    training_age_days | DOUBLE    | the newest matured example less its newest training row | days | none serves yet
    stale_after_days  | DOUBLE    | the age from which on it is stale, longer after refused candidates | days
    refused           | BIGINT    | candidates refused since the last promotion
    failure           | VARCHAR   | why the champion has failed | | it has not, or the fallback serves
    fallback_since    | DATE      | first drop that the fallback serves | | the champion serves
    is_scored         | BOOLEAN   | every example of the drop has a prediction
    is_reported       | BOOLEAN   | the drop's monitors are there
"""),
)
TABLES = (FEED_HEALTH, DRIFT_REPORT, PERFORMANCE_REPORT, PERFORMANCE_VERDICTS, DECISIONS)
